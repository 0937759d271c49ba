#include "homeserver/base/values/glob.h"

#include <algorithm>

namespace polder::base {
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

void set(uint64_t* bits, size_t i) {
  bits[i / 64] |= uint64_t{1} << (i % 64);
}

}  // namespace

std::u32string characters(std::string_view text) {
  std::u32string all;
  all.reserve(text.size());
  while (!text.empty())
    all.push_back(take_character(text));
  return all;
}

std::u32string fold_case(std::string_view text) {
  std::u32string folded = characters(text);
  std::ranges::transform(folded, folded.begin(), lower);
  return folded;
}

Result<Glob> Glob::parse(std::string_view pattern, const GlobSyntax& syntax) {
  Glob glob;
  for (const char32_t c : syntax.folds_case ? fold_case(pattern) : characters(pattern)) {
    // "**" is "*".
    if (syntax.star && c == '*' && glob.text_.ends_with(U'*')) continue;
    if (glob.text_.size() == syntax.size_max)
      return fail(ErrorCode::kTooLarge, "the pattern is too long");
    glob.text_.push_back(c);
  }
  glob.words_ = glob.text_.size() / 64 + 1;
  glob.stars_.resize(glob.words_);
  glob.any_.resize(glob.words_);
  glob.alphabet_ = glob.text_;
  std::ranges::sort(glob.alphabet_);
  const auto repeated = std::ranges::unique(glob.alphabet_);
  glob.alphabet_.erase(repeated.begin(), repeated.end());
  glob.places_.resize(glob.alphabet_.size() * glob.words_);
  for (size_t at = 0; at < glob.text_.size(); ++at) {
    const char32_t c = glob.text_[at];
    const bool star = syntax.star && c == '*';
    if (star || (syntax.question_mark && c == '?')) {
      set(star ? glob.stars_.data() : glob.any_.data(), at);
      glob.literal_ = false;
    } else {
      const auto place = std::ranges::lower_bound(glob.alphabet_, c) - glob.alphabet_.begin();
      set(glob.places_.data() + static_cast<size_t>(place) * glob.words_, at);
    }
  }
  return glob;
}

const uint64_t* Glob::places_of(char32_t c) const {
  const auto place = std::ranges::lower_bound(alphabet_, c);
  if (place == alphabet_.end() || *place != c) return nullptr;
  return places_.data() + static_cast<size_t>(place - alphabet_.begin()) * words_;
}

// A state is the set of all numbers of elements that the text so far can have matched; all of them
// move at once.
void Glob::step(Bits& state, char32_t c) const {
  const uint64_t* places = places_of(c);
  uint64_t carried = 0;  // out of the word before
  for (size_t i = 0; i < words_; ++i) {
    const uint64_t moving = state[i] & (any_[i] | (places != nullptr ? places[i] : 0));
    state[i] = (moving << 1u) | carried | (state[i] & stars_[i]);
    carried = moving >> 63u;
  }
  skip_stars(state);
}

// A star matches nothing, too. No two stars are neighbours, so one step is enough.
void Glob::skip_stars(Bits& state) const {
  uint64_t carried = 0;
  for (size_t i = 0; i < words_; ++i) {
    const uint64_t at_star = state[i] & stars_[i];
    state[i] |= (at_star << 1u) | carried;
    carried = at_star >> 63u;
  }
}

bool Glob::accepts(const Bits& state) const {
  return (state[text_.size() / 64] >> (text_.size() % 64) & 1u) == 1;
}

bool Glob::matches(std::u32string_view text) const {
  if (literal_) return text == text_;
  Bits state(words_);
  state[0] = 1;
  skip_stars(state);
  for (const char32_t c : text) {
    step(state, c);
    if (std::ranges::all_of(state, [](uint64_t word) { return word == 0; })) return false;
  }
  return accepts(state);
}

bool Glob::matches_words(std::u32string_view text) const {
  Bits state(words_);
  for (size_t at = 0;; ++at) {
    if (is_boundary(text, at)) {
      state[0] |= 1u;
      skip_stars(state);
      if (accepts(state)) return true;
    }
    if (at == text.size()) return false;
    step(state, text[at]);
  }
}

}  // namespace polder::base
