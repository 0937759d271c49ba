// The regular expression of a namespace.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

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
  // Instructions of the compiled form, each of which a letter of the text may cost.
  size_t size() const;

 private:
  friend class PatternSet;
  explicit Pattern(std::shared_ptr<const re2::RE2> compiled);

  std::shared_ptr<const re2::RE2> compiled_;
};

// Of all patterns of a set together: what the worst text costs is this, for each of its letters.
inline constexpr size_t kSetSizeMax = 50'000;

// Patterns that are matched in one pass over the text, however many there are. Thread-safe; copies
// share the compiled form.
class PatternSet {
 public:
  PatternSet() = default;  // of none
  // kTooLarge if they are larger than kSetSizeMax.
  static Result<PatternSet> compile(std::vector<Pattern> patterns);

  // Which of them match from the text's beginning: places in the list that was compiled, ascending.
  std::vector<size_t> matching(std::string_view text) const;

 private:
  struct Compiled;

  std::vector<Pattern> patterns_;
  std::shared_ptr<const Compiled> compiled_;  // null: of none
};

}  // namespace polder::appservices
