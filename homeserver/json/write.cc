#include "homeserver/json/write.h"

#include <charconv>
#include <cstdlib>

namespace polder::json {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

void write_escape(char c, std::string& out) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out.push_back(kHexDigits[static_cast<uint8_t>(c) >> 4]);
      out.push_back(kHexDigits[static_cast<uint8_t>(c) & 15]);
  }
}

void write_int_to(int64_t value, std::string& out) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

void write_array_to(const Array& array, std::string& out) {
  out.push_back('[');
  for (size_t i = 0; i < array.size(); ++i) {
    if (i > 0) out.push_back(',');
    write_to(array[i], out);
  }
  out.push_back(']');
}

}  // namespace

void write_string_to(std::string_view text, std::string& out) {
  out.push_back('"');
  size_t start = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '"' && c != '\\' && static_cast<uint8_t>(c) >= 0x20) continue;
    out.append(text.substr(start, i - start));
    write_escape(c, out);
    start = i + 1;
  }
  out.append(text.substr(start));
  out.push_back('"');
}

void write_to(const Object& object, std::string& out) {
  out.push_back('{');
  bool first = true;
  for (const auto& [key, value] : object) {
    if (!std::exchange(first, false)) out.push_back(',');
    write_string_to(key, out);
    out.push_back(':');
    write_to(value, out);
  }
  out.push_back('}');
}

void write_to(const Value& value, std::string& out) {
  if (const auto* text = value.as_string()) {
    write_string_to(*text, out);
  } else if (const auto* object = value.as_object()) {
    write_to(*object, out);
  } else if (const auto* array = value.as_array()) {
    write_array_to(*array, out);
  } else if (const auto* integer = value.as_int()) {
    write_int_to(*integer, out);
  } else if (const auto* number = value.as_number()) {
    out += number->text;
  } else if (const auto* flag = value.as_bool()) {
    out += *flag ? "true" : "false";
  } else {
    out += "null";
  }
}

std::string write(const Value& value) {
  std::string out;
  write_to(value, out);
  return out;
}

std::string write(const Object& object) {
  std::string out;
  write_to(object, out);
  return out;
}

bool is_canonical(const Value& value) {
  if (const auto* integer = value.as_int())
    return *integer <= kMaxCanonicalInt && *integer >= -kMaxCanonicalInt;
  if (const auto* object = value.as_object()) return is_canonical(*object);
  if (const auto* array = value.as_array()) {
    return std::ranges::all_of(*array, [](const Value& element) { return is_canonical(element); });
  }
  return value.as_number() == nullptr;
}

bool is_canonical(const Object& object) {
  return std::ranges::all_of(
      object, [](const Object::Member& member) { return is_canonical(member.second); });
}

void Writer::separate() {
  if (needs_comma_) out_.push_back(',');
  needs_comma_ = true;
}

Writer& Writer::begin_object() {
  separate();
  out_.push_back('{');
  needs_comma_ = false;
  return *this;
}

Writer& Writer::end_object() {
  out_.push_back('}');
  needs_comma_ = true;
  return *this;
}

Writer& Writer::begin_array() {
  separate();
  out_.push_back('[');
  needs_comma_ = false;
  return *this;
}

Writer& Writer::end_array() {
  out_.push_back(']');
  needs_comma_ = true;
  return *this;
}

Writer& Writer::key(std::string_view name) {
  separate();
  write_string_to(name, out_);
  out_.push_back(':');
  needs_comma_ = false;
  return *this;
}

Writer& Writer::string(std::string_view text) {
  separate();
  write_string_to(text, out_);
  return *this;
}

Writer& Writer::integer(int64_t value) {
  separate();
  write_int_to(value, out_);
  return *this;
}

Writer& Writer::boolean(bool value) {
  return raw(value ? "true" : "false");
}
Writer& Writer::null() {
  return raw("null");
}

Writer& Writer::value(const Value& value) {
  separate();
  write_to(value, out_);
  return *this;
}

Writer& Writer::raw(std::string_view json) {
  separate();
  out_.append(json);
  return *this;
}

}  // namespace polder::json
