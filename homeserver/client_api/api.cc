#include "homeserver/client_api/api.h"

#include "homeserver/json/parse.h"
#include "homeserver/json/write.h"

namespace polder::client_api {
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
      return {400, "M_INVALID_PARAM"};
    case ErrorCode::kMissing:
      return {400, "M_MISSING_PARAM"};
    case ErrorCode::kNotFound:
      return {404, "M_NOT_FOUND"};
    case ErrorCode::kForbidden:
      return {403, "M_FORBIDDEN"};
    case ErrorCode::kUnauthenticated:
      return {401, "M_UNKNOWN_TOKEN"};
    case ErrorCode::kExists:
      return {409, "M_UNKNOWN"};
    case ErrorCode::kTooLarge:
      return {413, "M_TOO_LARGE"};
    case ErrorCode::kRateLimited:
      return {429, "M_LIMIT_EXCEEDED"};
    case ErrorCode::kUnsupported:
      return {400, "M_UNSUPPORTED_ROOM_VERSION"};
    case ErrorCode::kUnavailable:
      return {502, "M_UNKNOWN"};
    case ErrorCode::kTimeout:
      return {504, "M_UNKNOWN"};
    case ErrorCode::kBadSignature:
      return {400, "M_INVALID_SIGNATURE"};
    case ErrorCode::kReadOnly:
      return {503, "M_UNKNOWN"};
    default:
      return {500, "M_UNKNOWN"};
  }
}

Result<json::Object> parse_body(const http::Request& request) {
  // Some requests without parameters come without a body.
  if (request.body.empty()) return json::Object();
  auto parsed = json::parse_object(request.body, {.max_bytes = kLargeBody * 64});
  if (parsed.ok()) return parsed;
  const bool bad_json = parsed.error().code == ErrorCode::kMalformed;
  return matrix_error(ErrorCode::kInvalid, bad_json ? "M_NOT_JSON" : "M_BAD_JSON",
                      parsed.error().message);
}

Task<http::Response> run(const Api& api, http::Exchange& exchange, const Action& action) {
  auto body = exchange.route->body_max > 0 ? parse_body(exchange.request)
                                           : Result<json::Object>(json::Object());
  if (!body.ok()) co_return to_response(body.error());
  Call call{exchange, *std::move(body)};
  auto response = co_await action(api, call);
  if (response.ok()) co_return *std::move(response);
  if (response.error().code == ErrorCode::kInternal ||
      response.error().code == ErrorCode::kCorrupt) {
    api.runtime.log().error(
        "request_failed", {{"route", exchange.route->path}, {"reason", response.error().message}});
  }
  co_return to_response(response.error());
}

// https://spec.matrix.org/v1.19/client-server-api/#using-access-tokens
std::string_view token_of(const http::Request& request) {
  constexpr std::string_view kBearer = "Bearer ";
  const std::string_view header = request.headers.find("Authorization");
  if (header.starts_with(kBearer)) return header.substr(kBearer.size());
  return request.query_parameter("access_token").value_or(std::string_view());
}

Task<http::Response> authenticate(const Api& api, http::Exchange& exchange,
                                  const http::Handler& next) {
  const bool optional =
      exchange.route->authentication == http::Authentication::kOptionalAccessToken;
  if (exchange.route->authentication == http::Authentication::kNone)
    co_return co_await next(exchange);
  const std::string token(token_of(exchange.request));
  if (token.empty() && optional) co_return co_await next(exchange);
  if (token.empty()) co_return http::error_response(401, "M_MISSING_TOKEN", "Missing access token");
  auto session = co_await api.users.authenticate(token);
  if (!session.ok()) co_return to_response(session.error());
  if (exchange.route->authentication == http::Authentication::kAdmin && !session->admin) {
    co_return http::error_response(403, "M_FORBIDDEN", "You are not a server admin");
  }
  exchange.caller = std::make_shared<users::Session>(*std::move(session));
  co_return co_await next(exchange);
}

struct WireError {
  int status;
  std::string_view errcode;
  std::string_view message;
};

WireError on_the_wire(const Error& error) {
  const Wire wire = wire_of(error.code);
  WireError told{wire.status, wire.errcode, error.message};
  if (told.message.starts_with('\x01')) {
    const size_t end = told.message.find('\x01', 1);
    told.errcode = told.message.substr(1, end - 1);
    told.message = told.message.substr(end + 1);
  }
  if (told.status == 500) told.message = "Internal server error";
  return told;
}

}  // namespace

// The errcode travels before the message; on_the_wire() takes it off again.
Error matrix_error(ErrorCode code, std::string_view errcode, std::string_view message) {
  return fail(code, std::string("\x01").append(errcode).append("\x01").append(message));
}

http::Response to_response(const Error& error) {
  const WireError wire = on_the_wire(error);
  return http::error_response(wire.status, wire.errcode, wire.message);
}

json::Object error_json(const Error& error) {
  const WireError wire = on_the_wire(error);
  return {{"errcode", wire.errcode}, {"error", wire.message}};
}

void tell_of_devices(const Api& api, stores::UserNumber user) {
  api.devices.updates.changed();
  api.sync.wake_all_of(user);
}

http::Response ok_json(const json::Object& object) {
  return http::Response::json(200, json::write(object));
}
http::Response empty_json() {
  return http::Response::json(200, "{}");
}

void add_route(http::Router& router, const Api& api, const RouteSpec& spec, Action action) {
  http::Route route;
  route.method = spec.method;
  route.path = spec.path;
  route.authentication = spec.authentication;
  route.rate = spec.rate;
  route.body_max = spec.body_max;
  route.handler = [&api, action = std::move(action)](http::Exchange& exchange) {
    return run(api, exchange, action);
  };
  router.add(std::move(route));
}

http::Router::Around authentication(const Api& api) {
  return [&api](http::Exchange& exchange, const http::Handler& next) {
    return authenticate(api, exchange, next);
  };
}

}  // namespace polder::client_api
