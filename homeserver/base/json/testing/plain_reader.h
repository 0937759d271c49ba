// The plainest reader of JSON there is, one byte after the other: what tests and benchmarks hold
// against the real one.
#pragma once

#include <charconv>

#include "homeserver/base/json/parse.h"
#include "homeserver/base/values/bytes.h"

namespace polder::json {

class PlainReader {
 public:
  PlainReader(std::string_view text, const ParseLimits& limits)
      : next_(text.data()), end_(text.data() + text.size()), limits_(limits) {}

  Result<Value> document() {
    skip_space();
    POLDER_TRY(Value value, read_value(0));
    skip_space();
    if (next_ != end_) return malformed("text after the value");
    return value;
  }

 private:
  static Error malformed(const char* why) {
    return fail(ErrorCode::kMalformed, std::string("not JSON: ").append(why));
  }

  void skip_space() {
    while (next_ != end_ && (*next_ == ' ' || *next_ == '\n' || *next_ == '\r' || *next_ == '\t'))
      ++next_;
  }

  bool take(char c) {
    if (next_ == end_ || *next_ != c) return false;
    ++next_;
    return true;
  }

  bool take(std::string_view word) {
    if (static_cast<size_t>(end_ - next_) < word.size() ||
        std::string_view(next_, word.size()) != word)
      return false;
    next_ += word.size();
    return true;
  }

  Result<Value> read_value(int depth) {
    if (next_ == end_) return malformed("it ends too early");
    switch (*next_) {
      case '{':
        return read_object(depth + 1);
      case '[':
        return read_array(depth + 1);
      case '"': {
        POLDER_TRY(std::string text, read_string());
        return Value(std::move(text));
      }
      case 't':
        return take("true") ? Result<Value>(Value(true)) : malformed("unknown word");
      case 'f':
        return take("false") ? Result<Value>(Value(false)) : malformed("unknown word");
      case 'n':
        return take("null") ? Result<Value>(Value()) : malformed("unknown word");
      default:
        return read_number();
    }
  }

  Status enter(int depth) {
    ++next_;
    if (depth > limits_.max_depth) return fail(ErrorCode::kTooLarge, "JSON is nested too deeply");
    return {};
  }

  Result<Value> read_object(int depth) {
    POLDER_CHECK(enter(depth));
    std::vector<Object::Member> members;
    skip_space();
    if (!take('}')) {
      do {
        skip_space();
        if (next_ == end_ || *next_ != '"') return malformed("a key must be a string");
        POLDER_TRY(std::string key, read_string());
        skip_space();
        if (!take(':')) return malformed("no colon after a key");
        skip_space();
        POLDER_TRY(Value value, read_value(depth));
        members.emplace_back(std::move(key), std::move(value));
        skip_space();
      } while (take(','));
      if (!take('}')) return malformed("an object does not end");
    }
    Object object;
    if (!object.assign_unsorted(std::move(members))) return malformed("an object has a key twice");
    return Value(std::move(object));
  }

  Result<Value> read_array(int depth) {
    POLDER_CHECK(enter(depth));
    Array array;
    skip_space();
    if (!take(']')) {
      do {
        skip_space();
        POLDER_TRY(Value value, read_value(depth));
        array.push_back(std::move(value));
        skip_space();
      } while (take(','));
      if (!take(']')) return malformed("an array does not end");
    }
    return Value(std::move(array));
  }

  // The text was checked to be UTF-8 as a whole, so bytes from 0x80 on are copied as they are.
  Result<std::string> read_string() {
    ++next_;
    std::string out;
    for (;;) {
      const char* start = next_;
      while (next_ != end_ && *next_ != '"' && *next_ != '\\' &&
             static_cast<uint8_t>(*next_) >= 0x20)
        ++next_;
      out.append(start, next_);
      if (next_ == end_) return malformed("a string does not end");
      if (take('"')) return out;
      if (!take('\\')) return malformed("a control character in a string");
      POLDER_CHECK(read_escape(out));
    }
  }

  Status read_escape(std::string& out) {
    if (next_ == end_) return malformed("a string does not end");
    switch (*next_++) {
      case '"':
        out.push_back('"');
        return {};
      case '\\':
        out.push_back('\\');
        return {};
      case '/':
        out.push_back('/');
        return {};
      case 'b':
        out.push_back('\b');
        return {};
      case 'f':
        out.push_back('\f');
        return {};
      case 'n':
        out.push_back('\n');
        return {};
      case 'r':
        out.push_back('\r');
        return {};
      case 't':
        out.push_back('\t');
        return {};
      case 'u':
        return read_unicode_escape(out);
      default:
        return malformed("unknown escape");
    }
  }

  Status read_unicode_escape(std::string& out) {
    POLDER_TRY(uint32_t code, read_four_digits());
    if (code >= 0xDC00 && code <= 0xDFFF) return malformed("a lone surrogate");
    if (code >= 0xD800 && code <= 0xDBFF) {
      if (!take("\\u")) return malformed("a lone surrogate");
      POLDER_TRY(const uint32_t low, read_four_digits());
      if (low < 0xDC00 || low > 0xDFFF) return malformed("a lone surrogate");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(code, out);
    return {};
  }

  Result<uint32_t> read_four_digits() {
    if (end_ - next_ < 4) return malformed("a string does not end");
    uint32_t code = 0;
    const auto [stop, error] = std::from_chars(next_, next_ + 4, code, 16);
    if (error != std::errc() || stop != next_ + 4) return malformed("bad digits after \\u");
    next_ += 4;
    return code;
  }

  static void append_utf8(uint32_t code, std::string& out) {
    const auto push = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (code < 0x80) {
      push(code);
    } else if (code < 0x800) {
      push(0xC0 | code >> 6);
      push(0x80 | (code & 63));
    } else if (code < 0x10000) {
      push(0xE0 | code >> 12);
      push(0x80 | (code >> 6 & 63));
      push(0x80 | (code & 63));
    } else {
      push(0xF0 | code >> 18);
      push(0x80 | (code >> 12 & 63));
      push(0x80 | (code >> 6 & 63));
      push(0x80 | (code & 63));
    }
  }

  bool take_digits() {
    const char* start = next_;
    while (next_ != end_ && *next_ >= '0' && *next_ <= '9')
      ++next_;
    return next_ != start;
  }

  // RFC 8259, section 6: [ minus ] int [ frac ] [ exp ].
  Result<Value> read_number() {
    const char* start = next_;
    const bool negative = take('-');
    const bool zero = next_ != end_ && *next_ == '0';
    const char* digits = next_;
    if (!take_digits()) return malformed("unknown word");
    if (zero && next_ - digits > 1) return malformed("a number begins with zero");
    bool integer = true;
    if (take('.')) {
      integer = false;
      if (!take_digits()) return malformed("no digits after the point");
    }
    if (take('e') || take('E')) {
      integer = false;
      if (!take('+')) take('-');
      if (!take_digits()) return malformed("no digits in the exponent");
    }
    int64_t value = 0;
    const bool fits = integer && std::from_chars(start, next_, value).ec == std::errc();
    const bool minus_zero = negative && zero && integer;
    if (limits_.numbers == Numbers::kCanonical) {
      if (!fits || minus_zero || value > kMaxCanonicalInt || value < -kMaxCanonicalInt) {
        return fail(ErrorCode::kInvalid, "a number is not canonical");
      }
    }
    if (!fits) return Value(Number{std::string(start, next_)});
    return Value(value);
  }

  const char* next_;
  const char* end_;
  const ParseLimits& limits_;
};

// Means what parse() means.
inline Result<Value> parse_plainly(std::string_view text, const ParseLimits& limits = {}) {
  if (text.size() > limits.max_bytes) return fail(ErrorCode::kTooLarge, "JSON is too large");
  if (!base::is_utf8(text)) return fail(ErrorCode::kMalformed, "not JSON: not UTF-8");
  return PlainReader(text, limits).document();
}

}  // namespace polder::json
