#include "homeserver/push_rules/glob.h"

#include <algorithm>

namespace polder::push_rules {
namespace {

constexpr char32_t kReplacement = 0xfffd;

// Takes one character off; U+FFFD and one byte for what is no UTF-8.
char32_t take_character(std::string_view& text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  size_t length = 1;
  char32_t c = first;
  if (first >= 0xf0 && first < 0xf8) {
    length = 4;
    c = first & 0x07u;
  } else if (first >= 0xe0) {
    length = first < 0xf0 ? 3 : 1;
    c = length == 3 ? first & 0x0fu : kReplacement;
  } else if (first >= 0xc0) {
    length = 2;
    c = first & 0x1fu;
  } else if (first >= 0x80) {
    c = kReplacement;
  }
  for (size_t i = 1; i < length; ++i) {
    if (i >= text.size() || (byte(i) & 0xc0u) != 0x80u) {
      length = 1;
      c = kReplacement;
      break;
    }
    c = (c << 6u) | (byte(i) & 0x3fu);
  }
  text.remove_prefix(length);
  return c;
}

// Simple case folding of the alphabets of Europe; others are compared as they are.
char32_t lower(char32_t c) {
  const auto within = [c](char32_t from, char32_t to) { return c >= from && c <= to; };
  if (within('A', 'Z')) return c + 32;
  if (c < 0xc0) return c;
  if (within(0xc0, 0xde) && c != 0xd7) return c + 32;
  // Pairs with the capital first, on even numbers; then the two runs where it is on odd ones.
  if (within(0x100, 0x12f) || within(0x132, 0x137) || within(0x14a, 0x177)) return c | 1u;
  if (within(0x139, 0x148) || within(0x179, 0x17e)) return (c & 1u) == 1 ? c + 1 : c;
  if (c == 0x178) return 0xff;
  if (within(0x391, 0x3a9)) return c + 32;
  if (c == 0x3c2) return 0x3c3;  // final sigma
  if (within(0x410, 0x42f)) return c + 32;
  if (within(0x400, 0x40f)) return c + 80;
  if (within(0x460, 0x481) || within(0x48a, 0x4bf) || within(0x4d0, 0x52f)) return c | 1u;
  return c;
}

bool is_word(char32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_boundary(std::u32string_view text, size_t at) {
  return at == 0 || at == text.size() || !is_word(text[at - 1]) || !is_word(text[at]);
}

template <class Bits>
void set(Bits& bits, size_t i) {
  bits[i / 64] |= uint64_t{1} << (i % 64);
}

template <class Bits>
Bits shifted(const Bits& bits) {
  Bits out{};
  for (size_t i = 0; i < bits.size(); ++i)
    out[i] = (bits[i] << 1u) | (i > 0 ? bits[i - 1] >> 63u : 0);
  return out;
}

}  // namespace

std::u32string fold(std::string_view text) {
  std::u32string folded;
  folded.reserve(text.size());
  while (!text.empty())
    folded.push_back(lower(take_character(text)));
  return folded;
}

Result<Glob> Glob::parse(std::string_view pattern) {
  return build(pattern, true);
}
Result<Glob> Glob::of_text(std::string_view text) {
  return build(text, false);
}

Result<Glob> Glob::build(std::string_view pattern, bool wildcards) {
  Glob glob;
  for (const char32_t c : fold(pattern)) {
    const bool star = wildcards && c == '*';
    // "**" is "*".
    if (star && !glob.text_.empty() && glob.text_.back() == '*') continue;
    if (glob.text_.size() == kPatternMax)
      return fail(ErrorCode::kTooLarge, "the pattern is too long");
    const size_t at = glob.text_.size();
    glob.text_.push_back(c);
    if (star || (wildcards && c == '?')) {
      set(star ? glob.stars_ : glob.any_, at);
      glob.literal_ = false;
      continue;
    }
    const auto place =
        std::ranges::lower_bound(glob.chars_, c, {}, &std::pair<char32_t, Bits>::first);
    if (place != glob.chars_.end() && place->first == c) {
      set(place->second, at);
    } else {
      Bits bits{};
      set(bits, at);
      glob.chars_.insert(place, {c, bits});
    }
  }
  glob.size_ = glob.text_.size();
  return glob;
}

// A state is the set of all numbers of elements that the text so far can have matched; all of them
// move at once.
Glob::Bits Glob::step(const Bits& state, char32_t c) const {
  Bits moving = any_;
  const auto place = std::ranges::lower_bound(chars_, c, {}, &std::pair<char32_t, Bits>::first);
  if (place != chars_.end() && place->first == c) {
    for (size_t i = 0; i < kWords; ++i)
      moving[i] |= place->second[i];
  }
  for (size_t i = 0; i < kWords; ++i)
    moving[i] &= state[i];
  Bits next = shifted(moving);
  for (size_t i = 0; i < kWords; ++i)
    next[i] |= state[i] & stars_[i];
  skip_stars(next);
  return next;
}

// A star matches nothing, too. No two stars are neighbours, so one step is enough.
void Glob::skip_stars(Bits& state) const {
  Bits at_star{};
  for (size_t i = 0; i < kWords; ++i)
    at_star[i] = state[i] & stars_[i];
  const Bits beyond = shifted(at_star);
  for (size_t i = 0; i < kWords; ++i)
    state[i] |= beyond[i];
}

bool Glob::accepts(const Bits& state) const {
  return (state[size_ / 64] >> (size_ % 64) & 1u) == 1;
}

bool Glob::matches(std::u32string_view folded) const {
  if (literal_) return folded == text_;
  Bits state{1};
  skip_stars(state);
  for (const char32_t c : folded) {
    state = step(state, c);
    if (std::ranges::all_of(state, [](uint64_t word) { return word == 0; })) return false;
  }
  return accepts(state);
}

bool Glob::matches_words(std::u32string_view folded) const {
  Bits state{};
  for (size_t at = 0;; ++at) {
    if (is_boundary(folded, at)) {
      state[0] |= 1u;
      skip_stars(state);
      if (accepts(state)) return true;
    }
    if (at == folded.size()) return false;
    state = step(state, folded[at]);
  }
}

}  // namespace polder::push_rules
