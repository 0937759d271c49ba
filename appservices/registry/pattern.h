// The regular expression of a namespace.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "homeserver/base/values/result.h"

namespace re2 {
class RE2;
}

namespace polder::appservices {

inline constexpr size_t kRegexBytesMax = 1000;

// Compiled once; matching takes time in proportion to the text, whatever the expression, because
// anybody chooses the ids that are matched. Hence no look-arounds and no back-references.
// Thread-safe; copies share the compiled form.
class Pattern {
 public:
  // kInvalid says what is wrong with the expression.
  static Result<Pattern> compile(const std::string& regex);

  // Whether it matches from the text's beginning, to wherever: so registrations are written.
  bool matches(std::string_view text) const;

 private:
  explicit Pattern(std::shared_ptr<const re2::RE2> compiled);

  std::shared_ptr<const re2::RE2> compiled_;
};

}  // namespace polder::appservices
