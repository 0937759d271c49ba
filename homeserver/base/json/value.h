// JSON as the protocol uses it: a tree whose objects are always in canonical order, so that writing
// it out is canonical JSON (https://spec.matrix.org/v1.19/appendices/#canonical-json).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "homeserver/base/values/result.h"

namespace polder::json {

class Value;
using Array = std::vector<Value>;

// The largest integer that canonical JSON allows; the smallest is its negative.
inline constexpr int64_t kMaxCanonicalInt = (int64_t{1} << 53) - 1;

// A number that is no integer of 64 bits, kept as it was written ("0.5", "1e3",
// "18446744073709551616"): fit for client data such as tag orders and for events of room versions 1
// to 5, never canonical.
struct Number {
  std::string text;
  friend bool operator==(const Number&, const Number&) = default;
};

// Levels of arrays and objects that are values of their own. Trees are copied, compared, written
// and destroyed by recursion, so what is nested deeper, as anybody's events may be, is kept as
// text.
inline constexpr int kTreeDepth = 100;

// An array or object below kTreeDepth: canonical JSON, but for numbers that have no such form.
struct Nested {
  std::string json;
  friend bool operator==(const Nested&, const Nested&) = default;
};

// Members with unique keys, sorted by the keys' UTF-8 bytes (which is code point order).
class Object {
 public:
  using Member = std::pair<std::string, Value>;

  Object();
  Object(std::initializer_list<Member> members);  // a later duplicate replaces an earlier one
  Object(const Object&);
  Object(Object&&) noexcept;
  Object& operator=(const Object&);
  Object& operator=(Object&&) noexcept;
  ~Object();

  const Value* find(std::string_view key) const;  // null if absent
  Value* find(std::string_view key);
  bool contains(std::string_view key) const { return find(key) != nullptr; }
  Value& set(std::string key, Value value);  // inserts or replaces
  bool erase(std::string_view key);
  size_t size() const;
  bool empty() const;
  const Member* begin() const;
  const Member* end() const;
  Member* begin();
  Member* end();

  // Typed look-ups: nothing if absent or of another type.
  const std::string* find_string(std::string_view key) const;
  const Object* find_object(std::string_view key) const;
  const Array* find_array(std::string_view key) const;
  std::optional<int64_t> find_int(std::string_view key) const;
  std::optional<bool> find_bool(std::string_view key) const;

  // For the parser: takes members in any order; false (and unspecified content) if a key is
  // duplicate.
  bool assign_unsorted(std::vector<Member> members);

  friend bool operator==(const Object&, const Object&);

 private:
  std::vector<Member> members_;
};

// A value type: copies are deep. Reading from several threads at once is safe.
class Value {
 public:
  Value() = default;                                            // null
  Value(std::nullptr_t) {}                                      // NOLINT: implicit, as are the rest
  Value(bool value) : data_(value) {}                           // NOLINT
  Value(int value) : data_(int64_t{value}) {}                   // NOLINT
  Value(int64_t value) : data_(value) {}                        // NOLINT
  Value(Number value) : data_(std::move(value)) {}              // NOLINT
  Value(std::string value) : data_(std::move(value)) {}         // NOLINT
  Value(std::string_view value) : data_(std::string(value)) {}  // NOLINT
  Value(const char* value) : data_(std::string(value)) {}       // NOLINT
  Value(Array value) : data_(std::move(value)) {}               // NOLINT
  Value(Object value) : data_(std::move(value)) {}              // NOLINT
  Value(Nested value) : data_(std::move(value)) {}              // NOLINT

  bool is_null() const { return std::holds_alternative<std::monostate>(data_); }
  const bool* as_bool() const { return std::get_if<bool>(&data_); }
  const int64_t* as_int() const { return std::get_if<int64_t>(&data_); }
  const Number* as_number() const { return std::get_if<Number>(&data_); }
  const std::string* as_string() const { return std::get_if<std::string>(&data_); }
  const Array* as_array() const { return std::get_if<Array>(&data_); }
  const Object* as_object() const { return std::get_if<Object>(&data_); }
  const Nested* as_nested() const { return std::get_if<Nested>(&data_); }
  Array* as_array() { return std::get_if<Array>(&data_); }
  Object* as_object() { return std::get_if<Object>(&data_); }

  friend bool operator==(const Value&, const Value&) = default;

 private:
  std::variant<std::monostate, bool, int64_t, Number, std::string, Array, Object, Nested> data_;
};

// Builds {"key": value, ...}; a later duplicate replaces an earlier one.
Value object(std::initializer_list<Object::Member> members);

// Follows keys through objects: at(content, {"m.relates_to", "rel_type"}). Null if any is absent.
const Value* at(const Object& object, std::initializer_list<std::string_view> path);

}  // namespace polder::json
