#include "homeserver/api/client/api.h"

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"

namespace polder::client_api {
namespace {

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

// Of nobody in particular.
Task<http::Response> by_address(const Api& api, http::Exchange& exchange,
                                const http::Handler& next) {
  const auto wait = api.rate_limits.take(
      exchange.route->rate, {http::Principal::Kind::kAddress, exchange.request.remote_address});
  if (wait) co_return http::limited(*wait);
  co_return co_await next(exchange);
}

Task<http::Response> authenticate(const Api& api, http::Exchange& exchange,
                                  const http::Handler& next) {
  const bool optional =
      exchange.route->authentication == http::Authentication::kOptionalAccessToken;
  if (exchange.route->authentication == http::Authentication::kNone)
    co_return co_await by_address(api, exchange, next);
  const std::string token(token_of(exchange.request));
  if (token.empty() && optional) co_return co_await by_address(api, exchange, next);
  if (token.empty()) co_return http::error_response(401, "M_MISSING_TOKEN", "Missing access token");
  auto session = co_await api.users.authenticate(token);
  if (!session.ok()) co_return to_response(session.error());
  if (exchange.route->authentication == http::Authentication::kAdmin && !session->admin) {
    co_return http::error_response(403, "M_FORBIDDEN", "You are not a server admin");
  }
  if (!session->admin) {
    const auto wait = api.rate_limits.take(exchange.route->rate,
                                           {http::Principal::Kind::kUser, session->user.view()});
    if (wait) co_return http::limited(*wait);
  }
  exchange.caller = std::make_shared<users::Session>(*std::move(session));
  co_return co_await next(exchange);
}

}  // namespace

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
