// Typed reading of an object that somebody gave. A member of another type than was asked for is an
// error, never an absent one, and everything that is read is bounded.
#pragma once

#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/json/value.h"

namespace polder::json {

// Bytes of a string.
struct StringBounds {
  size_t bytes_min = 0;
  size_t bytes_max = 65'536;
};
struct IntBounds {
  int64_t min = std::numeric_limits<int64_t>::min();
  int64_t max = std::numeric_limits<int64_t>::max();
};
// Entries of an array, or members of an object.
struct CountBounds {
  size_t max = 1000;
};
// A list of strings.
struct ListBounds {
  size_t count_max = 1000;
  size_t bytes_max = 65'536;  // of each
};

// Reads members of an object, which outlives it: what it points into is not copied. Errors name the
// member: kMissing, kBadType, kInvalid (too long, too short, out of range, none of the words),
// kTooLarge (too many).
class Reader {
 public:
  // `where` stands before the names in errors: "identifier." of what lies deeper.
  explicit Reader(const Object& object, std::string_view where = {})
      : object_(object), where_(where) {}

  // Members that must be there.
  Result<std::string> string(std::string_view key, StringBounds bounds = {}) const;
  Result<int64_t> integer(std::string_view key, IntBounds bounds = {}) const;
  Result<bool> boolean(std::string_view key) const;
  Result<const Object*> object(std::string_view key, CountBounds bounds = {}) const;
  Result<const Array*> array(std::string_view key, CountBounds bounds = {}) const;
  Result<std::vector<std::string>> strings(std::string_view key, ListBounds bounds = {}) const;

  // Members that may be absent: then nothing, null or the value given.
  Result<std::optional<std::string>> optional_string(std::string_view key,
                                                     StringBounds bounds = {}) const;
  Result<std::string> string_or(std::string_view key, std::string_view otherwise,
                                StringBounds bounds = {}) const;
  Result<std::optional<int64_t>> optional_integer(std::string_view key,
                                                  IntBounds bounds = {}) const;
  Result<int64_t> integer_or(std::string_view key, int64_t otherwise, IntBounds bounds = {}) const;
  Result<std::optional<bool>> optional_boolean(std::string_view key) const;
  Result<bool> boolean_or(std::string_view key, bool otherwise) const;
  Result<const Object*> optional_object(std::string_view key, CountBounds bounds = {}) const;
  Result<const Array*> optional_array(std::string_view key, CountBounds bounds = {}) const;
  Result<std::optional<std::vector<std::string>>> optional_strings(std::string_view key,
                                                                   ListBounds bounds = {}) const;
  // One of the words, as it is among them, so that it lives as long as they do.
  Result<std::string_view> one_of(std::string_view key,
                                  std::initializer_list<std::string_view> words,
                                  std::string_view otherwise) const;

 private:
  std::string name(std::string_view key) const { return where_ + std::string(key); }
  Error missing(std::string_view key) const;

  const Object& object_;
  std::string where_;
};

// The same of one value, which errors call `name`.
Result<std::string> read_string(const Value& value, std::string_view name,
                                StringBounds bounds = {});
Result<int64_t> read_integer(const Value& value, std::string_view name, IntBounds bounds = {});
Result<bool> read_boolean(const Value& value, std::string_view name);
Result<const Object*> read_object(const Value& value, std::string_view name,
                                  CountBounds bounds = {});
Result<const Array*> read_array(const Value& value, std::string_view name, CountBounds bounds = {});
Result<std::vector<std::string>> read_strings(const Value& value, std::string_view name,
                                              ListBounds bounds = {});

}  // namespace polder::json
