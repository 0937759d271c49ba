#include "federation/server/api.h"

#include <charconv>

#include "federation/server/acls.h"
#include "federation/server/requests_at_once.h"
#include "federation/server/transactions.h"
#include "federation/server/waiting.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"

namespace polder::federation_server {
namespace {

struct Wire {
  int status;
  std::string_view errcode;
};

Wire wire_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kMalformed:
      return {400, "M_NOT_JSON"};
    case ErrorCode::kInvalid:
    case ErrorCode::kBadSignature:
      return {400, "M_INVALID_PARAM"};
    case ErrorCode::kMissing:
      return {400, "M_MISSING_PARAM"};
    case ErrorCode::kUnsupported:
      return {400, "M_UNSUPPORTED_ROOM_VERSION"};
    case ErrorCode::kUnauthenticated:
      return {401, "M_UNAUTHORIZED"};
    case ErrorCode::kForbidden:
      return {403, "M_FORBIDDEN"};
    case ErrorCode::kNotFound:
      return {404, "M_NOT_FOUND"};
    case ErrorCode::kExists:
      return {409, "M_UNKNOWN"};
    case ErrorCode::kTooLarge:
      return {413, "M_TOO_LARGE"};
    case ErrorCode::kRateLimited:
      return {429, "M_LIMIT_EXCEEDED"};
    case ErrorCode::kUnavailable:
      return {502, "M_UNKNOWN"};
    case ErrorCode::kTimeout:
      return {504, "M_UNKNOWN"};
    case ErrorCode::kReadOnly:
      return {503, "M_UNKNOWN"};
    case ErrorCode::kCorrupt:
    case ErrorCode::kIo:
    case ErrorCode::kInternal:
      break;
  }
  return {500, "M_UNKNOWN"};
}

// Deeper than any event may be, so that one that is too deep does not hold up its transaction.
constexpr int kBodyDepthMax = 200;

// Each refusal is logged once.
void log_refusal(const Api& api, const Call& call, int status, std::string_view reason) {
  const LogLevel level = status < 500 ? LogLevel::kInfo : LogLevel::kError;
  const base::LogField fields[] = {{"route", call.exchange.route->path},
                                   {"origin", call.origin},
                                   {"status", status},
                                   {"reason", reason}};
  api.runtime().log().write(level, "federation_request_refused", fields);
}

Task<http::Response> run(Api& api, http::Exchange& exchange, const Action& action) {
  Call call{exchange, {}, {}};
  if (auto* caller = static_cast<Caller*>(exchange.caller.get())) {
    call.origin = caller->origin;
    call.body = std::move(caller->body);
  }
  auto result = co_await action(api, call);
  if (!result.ok()) {
    http::Response response = to_response(result.error());
    log_refusal(api, call, response.status, result.error().message);
    co_return response;
  }
  if (result->status >= 400) {
    const std::string_view text =
        result->body.empty() ? std::string_view() : result->body.front().bytes;
    log_refusal(api, call, result->status, text);
  }
  co_return *std::move(result);
}

}  // namespace

Api::Api(Parts given)
    : parts(std::move(given)),
      acls(std::make_unique<Acls>()),
      requests_at_once(std::make_unique<RequestsAtOnce>(parts.requests_at_once)),
      transactions(std::make_unique<Transactions>(*this)),
      waiting(std::make_unique<WaitingEvents>(*this)) {}

Api::~Api() = default;

Status Api::start() {
  return waiting->start();
}

http::Response to_response(const Error& error) {
  const Wire wire = wire_of(error.code);
  if (wire.status == 429) return http::limited(http::kSoon, error.message);
  const std::string_view message =
      wire.status == 500 ? std::string_view("Internal server error") : error.message;
  return http::error_response(wire.status, wire.errcode, message);
}

bool is_own_failure(const Error& error) {
  return error.code == ErrorCode::kReadOnly || error.code == ErrorCode::kRateLimited ||
         error.code == ErrorCode::kIo;
}

http::Response ok_json(const json::Object& object) {
  return http::Response::json(200, json::write(object));
}

http::Response refusal(int status, std::string_view errcode, std::string_view error) {
  return http::error_response(status, errcode, error);
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_joinroomiduserid
http::Response incompatible_version(std::string_view room_version) {
  return http::Response::json(
      400, json::write(json::Object{{"errcode", "M_INCOMPATIBLE_ROOM_VERSION"},
                                    {"error", "The room has a version that is not supported"},
                                    {"room_version", room_version}}));
}

Result<json::Object> parse_body(std::string_view text) {
  if (text.empty()) return json::Object();
  return json::parse_object(text, {.max_bytes = kTransactionBody, .max_depth = kBodyDepthMax});
}

Result<int64_t> int_query(const Call& call, std::string_view name) {
  const auto text = call.query(name);
  if (!text) return fail(ErrorCode::kMissing, std::string(name) + " is missing");
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size())
    return fail(ErrorCode::kInvalid, std::string(name) + " must be a number");
  return number;
}

void add_route(http::Router& router, Api& api, const RouteSpec& spec, Action action) {
  http::Route route;
  route.method = spec.method;
  route.path = spec.path;
  route.authentication = spec.authentication;
  route.rate = http::RateClass::kFederation;
  route.body_max = spec.body_max;
  route.resource = http::Resource::kFederation;
  route.handler = [&api, action = std::move(action)](http::Exchange& exchange) {
    return run(api, exchange, action);
  };
  router.add(std::move(route));
}

void add_routes(http::Router& router, Api& api) {
  add_key_routes(router, api);
  add_transaction_routes(router, api);
  add_membership_routes(router, api);
  add_invite_routes(router, api);
  add_history_routes(router, api);
  add_query_routes(router, api);
}

}  // namespace polder::federation_server
