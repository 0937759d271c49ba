#include "homeserver/api/kit/query.h"

#include <algorithm>
#include <charconv>

#include "homeserver/base/json/parse.h"

namespace polder::kit {
namespace {

Error invalid(std::string_view name, std::string_view what) {
  return fail(ErrorCode::kInvalid, std::string(name).append(" ").append(what));
}

Error missing(std::string_view name) {
  return fail(ErrorCode::kMissing, std::string("Missing parameter: ").append(name));
}

}  // namespace

Result<std::string_view> Query::text(std::string_view name) const {
  const auto text = find(name);
  if (!text || text->empty()) return missing(name);
  return *text;
}

Result<std::optional<int64_t>> Query::optional_integer(std::string_view name,
                                                       json::IntBounds bounds) const {
  const auto text = find(name);
  if (!text) return std::optional<int64_t>();
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size())
    return invalid(name, "must be an integer");
  if (number < bounds.min || number > bounds.max) return invalid(name, "is out of range");
  return std::optional(number);
}

Result<int64_t> Query::integer(std::string_view name, json::IntBounds bounds) const {
  POLDER_TRY(const auto number, optional_integer(name, bounds));
  if (!number) return missing(name);
  return *number;
}

Result<int64_t> Query::integer_or(std::string_view name, int64_t otherwise,
                                  json::IntBounds bounds) const {
  POLDER_TRY(const auto number, optional_integer(name, bounds));
  return number.value_or(otherwise);
}

Result<bool> Query::boolean_or(std::string_view name, bool otherwise) const {
  POLDER_TRY(const auto word, one_of(name, {"true", "false"}));
  return word ? *word == "true" : otherwise;
}

Result<std::optional<std::string_view>> Query::one_of(
    std::string_view name, std::initializer_list<std::string_view> words) const {
  const auto text = find(name);
  if (!text) return std::optional<std::string_view>();
  const auto* const word = std::ranges::find(words, *text);
  if (word == words.end()) return invalid(name, "has an unknown value");
  return std::optional(*word);
}

Result<std::optional<json::Object>> Query::object(std::string_view name) const {
  const auto text = find(name);
  if (!text) return std::optional<json::Object>();
  auto parsed = json::parse_object(*text);
  if (!parsed.ok()) return invalid(name, "must be a JSON object");
  return std::optional(*std::move(parsed));
}

Result<size_t> Query::limit(const PagingRules& rules) const {
  POLDER_TRY(const int64_t limit,
             integer_or("limit", static_cast<int64_t>(rules.limit_default), {.min = 0}));
  return std::clamp(static_cast<size_t>(limit), rules.limit_min, rules.limit_max);
}

Result<Paging> Query::paging(const PagingRules& rules) const {
  Paging paging;
  POLDER_TRY(paging.limit, limit(rules));
  POLDER_TRY(const auto direction, one_of("dir", {"b", "f"}));
  if (!direction && rules.direction.empty()) return missing("dir");
  paging.forwards = direction.value_or(rules.direction) == "f";
  paging.from = find("from");
  paging.to = find("to");
  return paging;
}

}  // namespace polder::kit
