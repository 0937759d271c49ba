#include "homeserver/base/json/write.h"

#include <array>
#include <bit>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "homeserver/base/json/parse.h"
#include "homeserver/base/values/bytes.h"

namespace polder::json {
namespace {

// A broken promise of the caller: better no process than JSON that is none.
void require(bool condition) {
  if (!condition) std::abort();
}

// Up to here a thread keeps what it writes into, so that the result takes one allocation of its own
// size: events are kept as they were written.
constexpr size_t kKeptBytes = 128 << 10;

// How a byte is written in a string: as it is (0), as a backslash and this letter, or, for 'u', as
// \u00xx. https://spec.matrix.org/v1.19/appendices/#grammar
constexpr std::array<char, 256> kEscapes = [] {
  std::array<char, 256> table{};
  for (size_t c = 0; c < 0x20; ++c)
    table[c] = 'u';
  table['\b'] = 'b';
  table['\t'] = 't';
  table['\n'] = 'n';
  table['\f'] = 'f';
  table['\r'] = 'r';
  table['"'] = '"';
  table['\\'] = '\\';
  return table;
}();

void write_integer(int64_t value, std::string& out) {
  std::array<char, 20> digits;
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  require(error == std::errc{});
  out.append(digits.data(), end);
}

bool is_number(std::string_view text) {
  const auto value = parse(text);
  return value.ok() && (value->as_number() != nullptr || value->as_int() != nullptr) &&
         text.find_first_of(" \t\r\n") == text.npos;
}

void write_array(const Array& array, std::string& out) {
  out.push_back('[');
  for (size_t i = 0; i < array.size(); ++i) {
    if (i > 0) out.push_back(',');
    write_to(array[i], out);
  }
  out.push_back(']');
}

// U+FFFD for every byte that belongs to no valid sequence.
std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    size_t length = 1;
    while (length <= 4 && length <= text.size() && !base::is_utf8(text.substr(0, length)))
      ++length;
    const bool valid = length <= 4 && length <= text.size();
    out.append(valid ? text.substr(0, length) : "\xef\xbf\xbd");
    text.remove_prefix(valid ? length : 1);
  }
  return out;
}

// Eight bytes of a string at a time. In the masks, the highest bit of the lowest byte that is meant
// is set, and none below it.
constexpr uint64_t kOnes = 0x0101010101010101u;
constexpr uint64_t kHighest = kOnes * 0x80;
static_assert(std::endian::native == std::endian::little);

uint64_t bytes_below(uint64_t word, uint8_t bound) {
  return (word - kOnes * bound) & ~word & kHighest;
}

uint64_t escaped_bytes(uint64_t word) {
  return bytes_below(word, 0x20) | bytes_below(word ^ kOnes * '"', 1) |
         bytes_below(word ^ kOnes * '\\', 1);
}

template <class Word>
uint64_t load(const char* from) {
  Word word = 0;
  std::memcpy(&word, from, sizeof word);
  return word;
}

// True of ASCII that needs no escape, as nearly all strings are.
bool is_plain(std::string_view text) {
  const char* at = text.data();
  size_t left = text.size();
  const auto plain = [](uint64_t word) { return (escaped_bytes(word) | (word & kHighest)) == 0; };
  for (; left >= 8; at += 8, left -= 8) {
    if (!plain(load<uint64_t>(at))) return false;
  }
  if (text.size() >= 8) return plain(load<uint64_t>(at + left - 8));
  for (; left > 0; ++at, --left) {
    if (kEscapes[static_cast<uint8_t>(*at)] != 0 || (*at & 0x80) != 0) return false;
  }
  return true;
}

void write_escaped(std::string_view text, std::string& out) {
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  size_t written = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i + 8 <= text.size()) {
      const uint64_t found = escaped_bytes(load<uint64_t>(text.data() + i));
      if (found == 0) {
        i += 7;
        continue;
      }
      i += static_cast<size_t>(std::countr_zero(found)) / 8;
    }
    const auto byte = static_cast<uint8_t>(text[i]);
    const char escape = kEscapes[byte];
    if (escape == 0) continue;
    out.append(text, written, i - written);
    written = i + 1;
    out.push_back('\\');
    out.push_back(escape);
    if (escape != 'u') continue;
    out.append("00");
    out.push_back(kHexDigits[byte >> 4]);
    out.push_back(kHexDigits[byte & 15]);
  }
  out.append(text, written);
}

template <class Tree>
std::string write_exactly(const Tree& tree) {
  thread_local std::string kept;
  kept.clear();
  write_to(tree, kept);
  if (kept.size() > kKeptBytes) return std::exchange(kept, {});
  return kept;
}

}  // namespace

void write_string_to(std::string_view text, std::string& out) {
  out.push_back('"');
  if (is_plain(text)) {
    out.append(text);
  } else if (base::is_utf8(text)) {
    write_escaped(text, out);
  } else {
    write_escaped(replace_invalid_utf8(text), out);
  }
  out.push_back('"');
}

void write_to(const Value& value, std::string& out) {
  if (const std::string* text = value.as_string()) {
    write_string_to(*text, out);
  } else if (const Object* object = value.as_object()) {
    write_to(*object, out);
  } else if (const Array* array = value.as_array()) {
    write_array(*array, out);
  } else if (const int64_t* integer = value.as_int()) {
    write_integer(*integer, out);
  } else if (const bool* flag = value.as_bool()) {
    out.append(*flag ? "true" : "false");
  } else if (const Number* number = value.as_number()) {
    require(is_number(number->text));
    out.append(number->text);
  } else if (const Nested* nested = value.as_nested()) {
    out.append(nested->json);
  } else {
    out.append("null");
  }
}

void write_to(const Object& object, std::string& out) {
  out.push_back('{');
  bool first = true;
  for (const auto& [key, value] : object) {
    if (!first) out.push_back(',');
    first = false;
    write_string_to(key, out);
    out.push_back(':');
    write_to(value, out);
  }
  out.push_back('}');
}

std::string write(const Value& value) {
  return write_exactly(value);
}

std::string write(const Object& object) {
  return write_exactly(object);
}

bool is_canonical(const Value& value) {
  if (const int64_t* integer = value.as_int()) {
    return *integer <= kMaxCanonicalInt && *integer >= -kMaxCanonicalInt;
  }
  if (const Object* object = value.as_object()) return is_canonical(*object);
  if (const Array* array = value.as_array()) {
    for (const Value& element : *array) {
      if (!is_canonical(element)) return false;
    }
  }
  if (const Nested* nested = value.as_nested())
    return parse(nested->json, {.numbers = Numbers::kCanonical}).ok();
  return value.as_number() == nullptr;
}

bool is_canonical(const Object& object) {
  for (const auto& [key, value] : object) {
    if (!is_canonical(value)) return false;
  }
  return true;
}

void Writer::separate() {
  require(open_.empty() ? !needs_comma_ : open_.back() == '[' || after_key_);
  if (needs_comma_ && !after_key_) out_.push_back(',');
  after_key_ = false;
  needs_comma_ = true;
}

Writer& Writer::begin(char bracket) {
  separate();
  open_.push_back(bracket);
  out_.push_back(bracket);
  needs_comma_ = false;
  return *this;
}

Writer& Writer::end(char opened, char bracket) {
  require(!open_.empty() && open_.back() == opened && !after_key_);
  open_.pop_back();
  out_.push_back(bracket);
  needs_comma_ = true;
  return *this;
}

Writer& Writer::begin_object() {
  return begin('{');
}
Writer& Writer::end_object() {
  return end('{', '}');
}
Writer& Writer::begin_array() {
  return begin('[');
}
Writer& Writer::end_array() {
  return end('[', ']');
}

Writer& Writer::key(std::string_view name) {
  require(!open_.empty() && open_.back() == '{' && !after_key_);
  if (needs_comma_) out_.push_back(',');
  write_string_to(name, out_);
  out_.push_back(':');
  after_key_ = true;
  return *this;
}

Writer& Writer::string(std::string_view text) {
  separate();
  write_string_to(text, out_);
  return *this;
}

Writer& Writer::integer(int64_t value) {
  separate();
  write_integer(value, out_);
  return *this;
}

Writer& Writer::boolean(bool value) {
  separate();
  out_.append(value ? "true" : "false");
  return *this;
}

Writer& Writer::null() {
  separate();
  out_.append("null");
  return *this;
}

Writer& Writer::value(const Value& value) {
  separate();
  write_to(value, out_);
  return *this;
}

Writer& Writer::raw(std::string_view json) {
  require(!json.empty());
  separate();
  out_.append(json);
  return *this;
}

}  // namespace polder::json
