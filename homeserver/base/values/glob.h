// Globs (https://spec.matrix.org/v1.19/appendices/#glob-style-matching), matched in time that grows
// with the text alone: both pattern and text come from strangers, and a matcher that goes back is a
// way to stop a server (CVE-2021-29471, CVE-2023-45129).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/values/result.h"

namespace polder::base {

// The characters of a UTF-8 text: what is compared instead of the text. Bytes that are no UTF-8
// become U+FFFD.
std::u32string characters(std::string_view text);
// The same in lower case: letters of the Latin, Greek and Cyrillic alphabets lose their case.
std::u32string fold_case(std::string_view text);

struct GlobSyntax {
  bool star = true;           // `*` is any characters, even none
  bool question_mark = true;  // `?` is one character
  bool folds_case = true;
  size_t size_max = 255;  // characters, runs of `*` counted once
};

// Immutable; thread-safe.
class Glob {
 public:
  // kTooLarge if it is longer than it may be.
  static Result<Glob> parse(std::string_view pattern, const GlobSyntax& syntax);

  // The text is given as characters(), or as fold_case() where the pattern folds. True if the
  // pattern matches all of it.
  bool matches(std::u32string_view text) const;
  // True if the pattern matches any part of it that starts and ends at a word boundary: the start
  // or the end, or beside a character that is not in [A-Za-z0-9_].
  bool matches_words(std::u32string_view text) const;

 private:
  // One bit for every number of elements that may have been matched so far, in words_ words.
  using Bits = std::vector<uint64_t>;

  Glob() = default;
  const uint64_t* places_of(char32_t c) const;
  void step(Bits& state, char32_t c) const;
  void skip_stars(Bits& state) const;
  bool accepts(const Bits& state) const;

  std::u32string text_;  // the elements
  bool literal_ = true;  // no wildcards
  size_t words_ = 1;
  Bits stars_;               // elements that are wildcards for any characters
  Bits any_;                 // those for one
  std::u32string alphabet_;  // the other elements, each once, sorted
  Bits places_;              // where each of them is: words_ words for each
};

}  // namespace polder::base
