#include "homeserver/base/json/reader.h"

namespace polder::json {
namespace {

Error bad_type(std::string_view name, std::string_view type) {
  return fail(ErrorCode::kBadType, std::string(name).append(" must be ").append(type));
}

Error too_many(std::string_view name, size_t max) {
  return fail(ErrorCode::kTooLarge,
              std::string(name).append(" has more than ") + std::to_string(max) + " entries");
}

}  // namespace

Result<std::string> read_string(const Value& value, std::string_view name, StringBounds bounds) {
  const std::string* text = value.as_string();
  if (text == nullptr) return bad_type(name, "a string");
  if (text->size() < bounds.bytes_min)
    return fail(ErrorCode::kInvalid, std::string(name).append(" is too short"));
  if (text->size() > bounds.bytes_max)
    return fail(ErrorCode::kInvalid, std::string(name).append(" is longer than ") +
                                         std::to_string(bounds.bytes_max) + " bytes");
  return *text;
}

Result<int64_t> read_integer(const Value& value, std::string_view name, IntBounds bounds) {
  const int64_t* number = value.as_int();
  if (number == nullptr) return bad_type(name, "an integer");
  if (*number < bounds.min || *number > bounds.max)
    return fail(ErrorCode::kInvalid, std::string(name).append(" is out of range"));
  return *number;
}

Result<bool> read_boolean(const Value& value, std::string_view name) {
  const bool* truth = value.as_bool();
  if (truth == nullptr) return bad_type(name, "true or false");
  return *truth;
}

Result<const Object*> read_object(const Value& value, std::string_view name, CountBounds bounds) {
  const Object* object = value.as_object();
  if (object == nullptr) return bad_type(name, "an object");
  if (object->size() > bounds.max) return too_many(name, bounds.max);
  return object;
}

Result<const Array*> read_array(const Value& value, std::string_view name, CountBounds bounds) {
  const Array* array = value.as_array();
  if (array == nullptr) return bad_type(name, "a list");
  if (array->size() > bounds.max) return too_many(name, bounds.max);
  return array;
}

Result<std::vector<std::string>> read_strings(const Value& value, std::string_view name,
                                              ListBounds bounds) {
  POLDER_TRY(const Array* array, read_array(value, name, {bounds.count_max}));
  std::vector<std::string> strings;
  strings.reserve(array->size());
  const std::string of_each = std::string("each of ").append(name);
  for (const Value& entry : *array) {
    POLDER_TRY(std::string text, read_string(entry, of_each, {.bytes_max = bounds.bytes_max}));
    strings.push_back(std::move(text));
  }
  return strings;
}

Error Reader::missing(std::string_view key) const {
  return fail(ErrorCode::kMissing, "Missing parameter: " + name(key));
}

Result<std::string> Reader::string(std::string_view key, StringBounds bounds) const {
  const Value* value = object_.find(key);
  if (value == nullptr) return missing(key);
  return read_string(*value, name(key), bounds);
}

Result<int64_t> Reader::integer(std::string_view key, IntBounds bounds) const {
  const Value* value = object_.find(key);
  if (value == nullptr) return missing(key);
  return read_integer(*value, name(key), bounds);
}

Result<bool> Reader::boolean(std::string_view key) const {
  const Value* value = object_.find(key);
  if (value == nullptr) return missing(key);
  return read_boolean(*value, name(key));
}

Result<const Object*> Reader::object(std::string_view key, CountBounds bounds) const {
  const Value* value = object_.find(key);
  if (value == nullptr) return missing(key);
  return read_object(*value, name(key), bounds);
}

Result<const Array*> Reader::array(std::string_view key, CountBounds bounds) const {
  const Value* value = object_.find(key);
  if (value == nullptr) return missing(key);
  return read_array(*value, name(key), bounds);
}

Result<std::vector<std::string>> Reader::strings(std::string_view key, ListBounds bounds) const {
  const Value* value = object_.find(key);
  if (value == nullptr) return missing(key);
  return read_strings(*value, name(key), bounds);
}

Result<std::optional<std::string>> Reader::optional_string(std::string_view key,
                                                           StringBounds bounds) const {
  if (!object_.contains(key)) return std::optional<std::string>();
  POLDER_TRY(std::string text, string(key, bounds));
  return std::optional(std::move(text));
}

Result<std::string> Reader::string_or(std::string_view key, std::string_view otherwise,
                                      StringBounds bounds) const {
  return object_.contains(key) ? string(key, bounds) : std::string(otherwise);
}

Result<std::optional<int64_t>> Reader::optional_integer(std::string_view key,
                                                        IntBounds bounds) const {
  if (!object_.contains(key)) return std::optional<int64_t>();
  POLDER_TRY(const int64_t number, integer(key, bounds));
  return std::optional(number);
}

Result<int64_t> Reader::integer_or(std::string_view key, int64_t otherwise,
                                   IntBounds bounds) const {
  return object_.contains(key) ? integer(key, bounds) : otherwise;
}

Result<std::optional<bool>> Reader::optional_boolean(std::string_view key) const {
  if (!object_.contains(key)) return std::optional<bool>();
  POLDER_TRY(const bool truth, boolean(key));
  return std::optional(truth);
}

Result<bool> Reader::boolean_or(std::string_view key, bool otherwise) const {
  return object_.contains(key) ? boolean(key) : otherwise;
}

Result<const Object*> Reader::optional_object(std::string_view key, CountBounds bounds) const {
  if (!object_.contains(key)) return static_cast<const Object*>(nullptr);
  return object(key, bounds);
}

Result<const Array*> Reader::optional_array(std::string_view key, CountBounds bounds) const {
  if (!object_.contains(key)) return static_cast<const Array*>(nullptr);
  return array(key, bounds);
}

Result<std::optional<std::vector<std::string>>> Reader::optional_strings(std::string_view key,
                                                                         ListBounds bounds) const {
  if (!object_.contains(key)) return std::optional<std::vector<std::string>>();
  POLDER_TRY(std::vector<std::string> list, strings(key, bounds));
  return std::optional(std::move(list));
}

Result<std::string_view> Reader::one_of(std::string_view key,
                                        std::initializer_list<std::string_view> words,
                                        std::string_view otherwise) const {
  if (!object_.contains(key)) return otherwise;
  POLDER_TRY(const std::string text, string(key));
  for (const std::string_view word : words) {
    if (text == word) return word;
  }
  return fail(ErrorCode::kInvalid, name(key) + " has an unknown value");
}

}  // namespace polder::json
