// Typed reading of a request's query. What cannot be read is an error, never absent: kMissing,
// kInvalid.
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>

#include "homeserver/base/http/message.h"
#include "homeserver/base/json/reader.h"

namespace polder::kit {

// How a list is paged (https://spec.matrix.org/v1.19/appendices/#pagination).
struct PagingRules {
  size_t limit_default = 10;
  size_t limit_min = 1;     // what is less counts as this
  size_t limit_max = 1000;  // what is more counts as this
  // Without `dir`: "f" or "b"; empty where it may not be left out.
  std::string_view direction = {};
};
// The tokens are as they were given: only the list knows what they mean.
struct Paging {
  size_t limit = 0;
  bool forwards = false;
  std::optional<std::string_view> from;
  std::optional<std::string_view> to;
};

// The first of parameters that are repeated counts. What it gives points into the request.
class Query {
 public:
  explicit Query(const http::Request& request) : request_(request) {}

  std::optional<std::string_view> find(std::string_view name) const {
    return request_.query_parameter(name);
  }
  // kMissing also if it is empty.
  Result<std::string_view> text(std::string_view name) const;
  Result<int64_t> integer(std::string_view name, json::IntBounds bounds = {}) const;
  Result<std::optional<int64_t>> optional_integer(std::string_view name,
                                                  json::IntBounds bounds = {}) const;
  Result<int64_t> integer_or(std::string_view name, int64_t otherwise,
                             json::IntBounds bounds = {}) const;
  Result<bool> boolean_or(std::string_view name, bool otherwise) const;
  // One of the words, as it is among them; nothing if it is absent.
  Result<std::optional<std::string_view>> one_of(
      std::string_view name, std::initializer_list<std::string_view> words) const;
  // JSON: a filter, for instance.
  Result<std::optional<json::Object>> object(std::string_view name) const;

  // How many of a list are wanted.
  Result<size_t> limit(const PagingRules& rules = {}) const;
  Result<Paging> paging(const PagingRules& rules = {}) const;

 private:
  const http::Request& request_;
};

}  // namespace polder::kit
