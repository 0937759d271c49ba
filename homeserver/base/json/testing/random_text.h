// Texts that are JSON, or nearly: what readers of JSON are compared on.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace polder::json {

class RandomText {
 public:
  explicit RandomText(uint64_t seed) : state_(seed) {}

  // A new text, half of them without a fault. Valid until the next call, as is the other's.
  std::string_view next() {
    text_.clear();
    faults_ = one_in(2) ? 1 + below(2) : 0;
    const size_t around = one_in(16) ? below(12) : 0;
    nest_ = 0;
    std::string closing;
    for (size_t i = 0; i < around; ++i)
      open(closing);
    value();
    for (; !closing.empty(); closing.pop_back()) {
      if (!fault()) text_ += closing.back();
    }
    space();
    if (fault()) text_ += pick(kBehind);
    return text_;
  }

  // The last text of next(), changed in one to three places.
  std::string_view mutated() {
    mutant_ = text_;
    for (size_t edits = 1 + below(3); edits > 0; --edits)
      edit();
    return mutant_;
  }

 private:
  using Texts = std::string_view;

  static constexpr std::array kKeys =
      std::to_array<Texts>({R"("a")",
                            R"("b")",
                            R"("c")",
                            R"("\u0061")",
                            R"("")",
                            R"("aa")",
                            R"("ab")",
                            R"("Z")",
                            R"("type")",
                            R"("content")",
                            R"("origin_server_ts")",
                            R"("m.relates_to")",
                            R"("\n")",
                            R"("\"")",
                            R"("\\")",
                            R"("é")",
                            R"("\u00e9")",
                            R"("日")",
                            R"("😀")",
                            R"("\ud83d\ude00")",
                            R"("｡")",
                            R"("\u0000")",
                            R"("@somebody.of.some.office:example.org")",
                            R"("{")",
                            R"(":")",
                            R"("k1")",
                            R"("k2")",
                            R"("k3")",
                            R"("k4")",
                            R"("k5")",
                            R"("k6")",
                            R"("k7")"});
  static constexpr std::array kParts = std::to_array<Texts>({"a",
                                                             "key",
                                                             "é",
                                                             "日",
                                                             "😀",
                                                             R"(\n)",
                                                             R"(\")",
                                                             R"(\\)",
                                                             R"(\/)",
                                                             R"(\b)",
                                                             R"(\f)",
                                                             R"(\r)",
                                                             R"(\t)",
                                                             "\x7f",
                                                             R"(\u00e9)",
                                                             R"(\uD83d\uDe00)",
                                                             R"(\u00)"
                                                             "00",
                                                             R"(\uffff)",
                                                             R"(\u20AC)",
                                                             R"(\\\")",
                                                             " ",
                                                             "{",
                                                             "}",
                                                             "[",
                                                             "]",
                                                             ":",
                                                             ",",
                                                             "/"});
  static constexpr std::array kBadParts = std::to_array<Texts>({R"(\ud800)",
                                                                R"(\udc00)",
                                                                R"(\ud800\u0041)",
                                                                R"(\udc00\ud800)",
                                                                R"(\ud800\ud800)",
                                                                R"(\ud83d\u)",
                                                                R"(\x)",
                                                                R"(\u12)",
                                                                R"(\u12g4)",
                                                                R"(\u 123)",
                                                                R"(\U0041)",
                                                                R"(\)",
                                                                R"(\')",
                                                                "\n",
                                                                "\t",
                                                                "\x01",
                                                                "\x1f",
                                                                Texts("\0", 1),
                                                                Texts("\\\0", 2),
                                                                "\xff",
                                                                "\x80",
                                                                "\xc0\x80",
                                                                "\xed\xa0\x80",
                                                                "\xf0\x9f",
                                                                "\xe6\x97",
                                                                "\xf4\x90\x80\x80",
                                                                "\"",
                                                                "\"\"",
                                                                "\\\n"});
  static constexpr std::array kNumbers =
      std::to_array<Texts>({"0",
                            "-0",
                            "1",
                            "-1",
                            "0.0",
                            "-0.0",
                            "1.5",
                            "1e3",
                            "1E+3",
                            "1e-3",
                            "1E400",
                            "0e0",
                            "9007199254740991",
                            "9007199254740992",
                            "-9007199254740991",
                            "-9007199254740992",
                            "9223372036854775807",
                            "9223372036854775808",
                            "-9223372036854775808",
                            "-9223372036854775809",
                            "18446744073709551615",
                            "18446744073709551616",
                            "123456789012345678901234567890",
                            "0.1234567890123456789012345678901234567890"});
  static constexpr std::array kBadNumbers = std::to_array<Texts>(
      {"01",  "-",   "-01",   "+1",       "1.",   "1e",   "1e+", ".5",  "0x1",
       "--1", "1 1", "NaN",   "Infinity", "1.e1", "00",   "1a",  "1\"", "1\"a b\"",
       "1\\", "-a",  "1.5.5", "1e1e1",    "1-1",  "1,,1", "0_0"});
  static constexpr std::array kBadWords = std::to_array<Texts>(
      {"tru",       "truee", "True",     "nul",  "nulll",        "fals", "falsee", "t",
       "n",         "f",     "true\"\"", "nil",  "undefined",    "a",    "'a'",    "\\",
       "\\\"a\\\"", "",      "\x0c",     "\x1a", "\xef\xbb\xbf", "/**/1"});
  static constexpr std::array kBehind = std::to_array<Texts>(
      {"1",     "]",  "}", ",",    ":",    "\"",           "\"\"",          "[]",           "{}",
       " true", "\\", "x", "\x0c", "\x80", Texts("\0", 1), Texts(" \0", 2), "\xef\xbb\xbf", "//",
       "]]",    "}}"});
  static constexpr std::array kInserts = std::to_array<Texts>({"{",
                                                               "}",
                                                               "[",
                                                               "]",
                                                               ",",
                                                               ":",
                                                               "\"",
                                                               "\\",
                                                               "0",
                                                               "1",
                                                               "-",
                                                               ".",
                                                               "e",
                                                               "E",
                                                               "+",
                                                               "t",
                                                               "u",
                                                               " ",
                                                               "\n",
                                                               "\t",
                                                               "true",
                                                               "null",
                                                               "\\u0061",
                                                               "\\ud800",
                                                               "\\udc00",
                                                               "\"a\"",
                                                               "\"a\":1",
                                                               "[]",
                                                               "{}",
                                                               ",,",
                                                               "\x0c",
                                                               "\x1a",
                                                               "\x80",
                                                               "\xff",
                                                               "\xe6\x97\xa5",
                                                               Texts("\0", 1),
                                                               "\"\"",
                                                               "\":\"",
                                                               "\":1,\"",
                                                               "],[",
                                                               "},{",
                                                               "\\\"",
                                                               "\\\\"});

  static constexpr size_t kDeepest = 5;

  uint64_t random() {  // splitmix64
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }
  size_t below(size_t bound) { return (random() >> 32) * bound >> 32; }
  bool one_in(size_t n) { return below(n) == 0; }
  template <class Table>
  Texts pick(const Table& table) {
    return table[below(table.size())];
  }
  bool fault() {
    if (faults_ == 0 || !one_in(12)) return false;
    --faults_;
    return true;
  }

  void open(std::string& closing) {
    const bool array = one_in(2);
    text_ += array ? "[" : "{\"a\":";
    closing += array ? ']' : '}';
  }

  void space() {
    if (!one_in(8)) return;
    for (size_t i = below(3); i < 3; ++i)
      text_ += " \n\r\t"[below(4)];
    if (fault()) text_ += pick(kBehind);
  }

  void value() {
    space();
    if (fault()) {
      text_ += pick(kBadWords);
    } else {
      switch (below(nest_ < kDeepest ? 9 : 6)) {
        case 0:
          text_ += std::array<Texts, 3>{"true", "false", "null"}[below(3)];
          break;
        case 1:
        case 2:
          number();
          break;
        case 3:
        case 4:
        case 5:
          string();
          break;
        case 6:
          array();
          break;
        default:
          object();
      }
    }
    space();
  }

  void number() {
    if (fault()) {
      text_ += pick(kBadNumbers);
    } else if (one_in(2)) {
      text_ += pick(kNumbers);
    } else {
      if (one_in(3)) text_ += '-';
      digits();
      if (one_in(8)) {
        text_ += '.';
        digits();
      }
    }
  }

  void digits() {
    text_ += static_cast<char>('1' + below(9));
    for (size_t i = one_in(4) ? below(20) : below(4); i > 0; --i)
      text_ += static_cast<char>('0' + below(10));
  }

  void string() {
    text_ += '"';
    for (size_t parts = below(4); parts > 0; --parts)
      text_ += fault() ? pick(kBadParts) : pick(kParts);
    // Over the width of the instructions that search in strings.
    if (one_in(8)) text_.append(below(70), 'x');
    if (one_in(16)) text_ += pick(kParts);
    if (!fault()) text_ += '"';
  }

  size_t members() { return one_in(16) ? below(12) : below(4); }

  void array() {
    ++nest_;
    text_ += '[';
    for (size_t left = members(); left > 0; --left) {
      value();
      if (left > 1 && !fault()) text_ += ',';
      if (fault()) text_ += ',';
    }
    text_ += fault() ? '}' : ']';
    --nest_;
  }

  void object() {
    ++nest_;
    text_ += '{';
    const size_t first = below(kKeys.size());
    const size_t step = one_in(4) ? below(kKeys.size()) : 1;  // a step of 0 repeats the key
    const size_t count = members();
    for (size_t i = 0; i < count; ++i) {
      space();
      text_ += fault() ? pick(kBadWords) : kKeys[(first + i * step) % kKeys.size()];
      space();
      if (!fault()) text_ += ':';
      value();
      if (i + 1 < count && !fault()) text_ += ',';
      if (fault()) text_ += pick(kInserts);
    }
    text_ += fault() ? ']' : '}';
    --nest_;
  }

  void edit() {
    const size_t at = below(mutant_.size() + 1);
    switch (below(8)) {
      case 0:
        mutant_.erase(at, 1 + below(3));
        return;
      case 1:
      case 2:
        mutant_.insert(at, pick(kInserts));
        return;
      case 3:
        if (at < mutant_.size()) mutant_[at] = pick(kInserts)[0];
        return;
      case 4: {
        const std::string piece = mutant_.substr(at, 1 + below(12));
        mutant_.insert(below(mutant_.size() + 1), piece);
        return;
      }
      case 5:
        mutant_.resize(one_in(4) ? at : mutant_.size() - (mutant_.empty() ? 0 : 1));
        return;
      case 6:
        if (at < mutant_.size()) std::swap(mutant_[at], mutant_[below(mutant_.size())]);
        return;
      default:
        if (at < mutant_.size()) mutant_[at] = static_cast<char>(random());
    }
  }

  uint64_t state_;
  std::string text_;
  std::string mutant_;
  size_t faults_ = 0;  // that are still to be made
  size_t nest_ = 0;
};

}  // namespace polder::json
