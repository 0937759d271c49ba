#include "homeserver/base/http/message.h"

#include <array>
#include <charconv>

#include "homeserver/base/values/bytes.h"

namespace polder::http {
namespace {

constexpr std::array<std::string_view, 8> kMethodNames = {"GET",    "HEAD",    "POST",  "PUT",
                                                          "DELETE", "OPTIONS", "PATCH", ""};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

// Form encoding: '+' is a space.
Result<std::string> decode_query(std::string_view text) {
  std::string spaced(text);
  std::ranges::replace(spaced, '+', ' ');
  return base::percent_decode(spaced);
}

}  // namespace

Method method_from(std::string_view name) {
  for (size_t i = 0; i + 1 < kMethodNames.size(); ++i) {
    if (kMethodNames[i] == name) return static_cast<Method>(i);
  }
  return Method::kOther;
}

std::string_view to_string(Method method) {
  return kMethodNames[static_cast<size_t>(method)];
}

void Headers::set(std::string_view name, std::string value) {
  std::erase_if(fields_, [&](const auto& field) { return same_name(field.first, name); });
  add(std::string(name), std::move(value));
}

std::string_view Headers::find(std::string_view name) const {
  for (const auto& [field, value] : fields_) {
    if (same_name(field, name)) return value;
  }
  return {};
}

size_t Headers::count(std::string_view name) const {
  return static_cast<size_t>(std::ranges::count_if(
      fields_, [&](const auto& field) { return same_name(field.first, name); }));
}

Task<Result<std::string>> read_all(BodySource& body, size_t max) {
  std::string all;
  for (;;) {
    POLDER_CO_TRY(auto piece, co_await body.next());
    if (!piece) co_return all;
    if (all.size() + piece->size() > max)
      co_return fail(ErrorCode::kTooLarge, "the body is too large");
    if (all.empty()) {
      all = std::move(*piece);
    } else {
      all += *piece;
    }
  }
}

std::optional<uint64_t> Request::body_length() const {
  const std::string_view text = headers.find("Content-Length");
  uint64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error == std::errc::result_out_of_range) return UINT64_MAX;
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return length;
}

std::optional<std::string_view> Request::query_parameter(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::vector<std::string> Request::query_parameters(std::string_view name) const {
  std::vector<std::string> values;
  for (const auto& [key, value] : query) {
    if (key == name) values.push_back(value);
  }
  return values;
}

std::string_view Request::path_parameter(std::string_view name) const {
  for (const auto& [key, value] : path_parameters) {
    if (key == name) return value;
  }
  return {};
}

Status parse_target(std::string_view target, Request& request) {
  request.target = target;
  const size_t question = target.find('?');
  request.path = target.substr(0, question);
  request.query.clear();
  if (question == std::string_view::npos) return {};
  std::string_view rest = target.substr(question + 1);
  while (!rest.empty()) {
    const size_t ampersand = rest.find('&');
    const std::string_view pair = rest.substr(0, ampersand);
    rest = ampersand == std::string_view::npos ? std::string_view() : rest.substr(ampersand + 1);
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    POLDER_TRY(std::string key, decode_query(pair.substr(0, equals)));
    std::string value;
    if (equals != std::string_view::npos) {
      POLDER_TRY(value, decode_query(pair.substr(equals + 1)));
    }
    request.query.emplace_back(std::move(key), std::move(value));
  }
  return {};
}

Slice slice(std::string text) {
  return slice(std::make_shared<const std::string>(std::move(text)));
}

Slice slice(std::shared_ptr<const std::string> text) {
  const std::string_view bytes = *text;
  return {std::move(text), bytes};
}

Response Response::json(int status, std::string text) {
  std::vector<Slice> body;
  body.push_back(slice(std::move(text)));
  return json(status, std::move(body));
}

Response Response::json(int status, std::vector<Slice> body) {
  Response response;
  response.status = status;
  response.headers.add("Content-Type", "application/json");
  response.body = std::move(body);
  return response;
}

uint64_t Response::slices_length() const {
  uint64_t length = 0;
  for (const Slice& slice : body)
    length += slice.bytes.size();
  return length;
}

}  // namespace polder::http
