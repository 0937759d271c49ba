// Writing JSON: trees, and responses without a tree.
#pragma once

#include <string>
#include <string_view>

#include "homeserver/base/json/value.h"

namespace polder::json {

// Canonical JSON if is_canonical(value); otherwise the same form with numbers as they were written.
// Bytes of strings that are no UTF-8 become U+FFFD, so that the outcome is JSON always; a Number
// whose text is no JSON number is a bug and ends the program.
std::string write(const Value& value);
std::string write(const Object& object);
void write_to(const Value& value, std::string& out);
void write_to(const Object& object, std::string& out);
void write_string_to(std::string_view text, std::string& out);  // quoted and escaped

// True if every number is an integer within +-(2^53-1).
bool is_canonical(const Value& value);
bool is_canonical(const Object& object);

// Appends JSON to a string in the order in which it is called; for responses. Keys are the caller's
// care. raw() splices bytes that are JSON already (stored events).
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  Writer& begin_object();
  Writer& end_object();
  Writer& begin_array();
  Writer& end_array();
  Writer& key(std::string_view name);
  Writer& string(std::string_view text);
  Writer& integer(int64_t value);
  Writer& boolean(bool value);
  Writer& null();
  Writer& value(const Value& value);
  Writer& raw(std::string_view json);
  // key() and string()/integer()/... in one.
  Writer& member(std::string_view name, std::string_view text) { return key(name).string(text); }
  Writer& member(std::string_view name, const char* text) { return key(name).string(text); }
  Writer& member(std::string_view name, int64_t number) { return key(name).integer(number); }
  Writer& member(std::string_view name, bool flag) { return key(name).boolean(flag); }

 private:
  void separate();  // before every value
  Writer& begin(char bracket);
  Writer& end(char opened, char bracket);

  std::string& out_;
  std::string open_;          // the brackets that are open, outermost first
  bool needs_comma_ = false;  // something stands in the innermost bracket, or at the top
  bool after_key_ = false;
};

}  // namespace polder::json
