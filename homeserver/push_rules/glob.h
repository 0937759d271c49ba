// Globs of push rules (https://spec.matrix.org/v1.19/appendices/#glob-style-matching), matched in
// time that grows with the text alone: both pattern and text come from strangers, and a matcher
// that goes back is a way to stop a server (CVE-2021-29471).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "homeserver/base/result.h"

namespace polder::push_rules {

inline constexpr size_t kPatternMax = 255;  // characters, runs of '*' counted once

// The characters of a UTF-8 text, in lower case: what is compared instead of the text. Letters of
// the Latin, Greek and Cyrillic alphabets lose their case; bytes that are no UTF-8 become U+FFFD.
std::u32string fold(std::string_view text);

// Immutable; thread-safe.
class Glob {
 public:
  // kTooLarge if it is longer than kPatternMax.
  static Result<Glob> parse(std::string_view pattern);
  // Matches this text, in which '*' and '?' mean themselves.
  static Result<Glob> of_text(std::string_view text);

  // The text must be folded. True if the pattern matches all of it.
  bool matches(std::u32string_view folded) const;
  // True if the pattern matches any part of it that starts and ends at a word boundary: the start
  // or the end, or beside a character that is not in [A-Za-z0-9_].
  bool matches_words(std::u32string_view folded) const;

  // True if there is no '*' or '?' in it.
  bool literal() const { return literal_; }

 private:
  // One bit for every number of elements that may have been matched so far.
  static constexpr size_t kWords = (kPatternMax + 1 + 63) / 64;
  using Bits = std::array<uint64_t, kWords>;

  Glob() = default;
  static Result<Glob> build(std::string_view pattern, bool wildcards);
  Bits step(const Bits& state, char32_t c) const;
  void skip_stars(Bits& state) const;
  bool accepts(const Bits& state) const;

  std::u32string text_;  // folded
  bool literal_ = true;
  size_t size_ = 0;                               // elements
  Bits stars_{};                                  // elements that are '*'
  Bits any_{};                                    // elements that are '?'
  std::vector<std::pair<char32_t, Bits>> chars_;  // where each character is, sorted
};

}  // namespace polder::push_rules
