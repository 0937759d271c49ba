// Who asks: signed requests.
// https://spec.matrix.org/v1.19/server-server-api/#request-authentication
#include <algorithm>

#include "federation/server/api.h"
#include "federation/server/requests_at_once.h"
#include "federation/wire/authorization.h"
#include "homeserver/base/http/errors.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"

namespace polder::federation_server {
namespace {

constexpr size_t kHeadersMax = 4;  // Authorization fields, one for each key of the origin

bool is_authorization(std::string_view name) {
  constexpr std::string_view kName = "authorization";
  return std::ranges::equal(name, kName, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

Error unauthorized(std::string_view why) {
  return fail(ErrorCode::kUnauthenticated, "M_UNAUTHORIZED", std::string(why));
}

// All of one origin and for this server.
Result<std::vector<wire::Authorization>> read_headers(const Api& api,
                                                      const http::Request& request) {
  std::vector<wire::Authorization> found;
  for (const auto& [name, value] : request.headers) {
    if (!is_authorization(name)) continue;
    if (found.size() == kHeadersMax) return unauthorized("Too many Authorization headers");
    auto parsed = wire::parse_authorization(value);
    if (!parsed.ok()) return unauthorized(parsed.error().message);
    // "If this property is included, but the value does not match the receiving server's name, the
    // receiving server must deny the request with an HTTP status code 401 Unauthorized."
    if (parsed->destination && *parsed->destination != api.own_name())
      return unauthorized("The request is for another server");
    if (parsed->origin == api.own_name()) return unauthorized("The request is from this server");
    if (!found.empty() && found.front().origin != parsed->origin)
      return unauthorized("The request is of several origins");
    found.push_back(*std::move(parsed));
  }
  if (found.empty()) return unauthorized("Missing Authorization header");
  return found;
}

// Deeper than any event may be, so that one that is too deep does not hold up its transaction.
constexpr int kBodyDepthMax = 200;

struct SignedBody {
  std::string content;  // canonical; empty if there is no body
};

Result<SignedBody> read_body(std::string_view text) {
  SignedBody body;
  if (text.empty()) return body;
  POLDER_TRY(const json::Object object,
             json::parse_object(text, {.max_bytes = kTransactionBody, .max_depth = kBodyDepthMax}));
  body.content = json::write(object);
  return body;
}

// A failure to find the key means that the signature cannot be verified; other failures are this
// server's own.
Error key_failure(const Error& error) {
  switch (error.code) {
    case ErrorCode::kReadOnly:
    case ErrorCode::kCorrupt:
    case ErrorCode::kIo:
    case ErrorCode::kInternal:
      return error;
    default:
      return unauthorized("The signature cannot be verified: " + error.message);
  }
}

// With its body read.
Task<Result<kit::Server>> check(Api& api, http::Exchange& exchange,
                                std::vector<wire::Authorization> headers) {
  runtime::Runtime& runtime = api.runtime();
  const http::Request* request = &exchange.request;
  // Large bodies take milliseconds to read.
  const bool has_body = exchange.route->body_max > 0;
  POLDER_CO_TRY(auto parsed, co_await runtime::on_pool(runtime, [request, has_body] {
                  return read_body(has_body ? std::string_view(request->body) : std::string_view());
                }));
  auto body = std::make_shared<SignedBody>(std::move(parsed));
  Error failure = unauthorized("The signature is wrong");
  for (const wire::Authorization& header : headers) {
    const int64_t now = runtime.clock().wall_ms();
    const auto key = co_await api.rooms().parts().keys.key(header.origin, header.key, now);
    if (!key.ok()) {
      failure = key_failure(key.error());
      continue;
    }
    const Api* own = &api;
    auto verify = [request, header, body, key = *key, own] {
      const wire::SignedRequest signed_request{.method = http::to_string(request->method),
                                               .uri = request->target,
                                               .origin = header.origin,
                                               .destination = own->own_name(),
                                               .content = body->content};
      return wire::verify(signed_request, header, key);
    };
    const bool good = co_await runtime::on_pool(runtime, std::move(verify));
    if (good) co_return kit::Server{header.origin, std::move(body->content)};
  }
  co_return failure;
}

http::Response refuse(Api& api, const http::Exchange& exchange, const Error& error) {
  const std::string& address = exchange.request.remote_address;
  // Of nobody in particular, until a signature is right. What this one cost has been spent.
  static_cast<void>(
      api.parts.rate_limits.take(exchange.route->rate, {http::Principal::Kind::kAddress, address}));
  api.runtime().log().info(
      "federation_request_refused",
      {{"route", exchange.route->path}, {"address", address}, {"reason", error.message}});
  return http::to_response(error);
}

// Before the body is read, a request is held against what its sender claims to be, but not counted:
// nobody can use up what another server may ask.
std::optional<Millis> limited_already(Api& api, const http::Exchange& exchange,
                                      const ServerName& claimed) {
  http::RateLimits& limits = api.parts.rate_limits;
  const http::RateClass rate = exchange.route->rate;
  const auto wait = limits.look(rate, {http::Principal::Kind::kServer, claimed.view()});
  if (wait) return wait;
  return limits.look(rate, {http::Principal::Kind::kAddress, exchange.request.remote_address});
}

Task<http::Response> authenticate(Api& api, http::Exchange& exchange, const http::Handler& next) {
  if (exchange.route->authentication != http::Authentication::kServer)
    co_return co_await next(exchange);
  auto headers = read_headers(api, exchange.request);
  if (!headers.ok()) co_return refuse(api, exchange, headers.error());
  const auto already = limited_already(api, exchange, headers->front().origin);
  if (already) co_return http::limited(*already);
  auto unreadable = co_await http::read_body(exchange);
  if (unreadable) co_return *std::move(unreadable);
  auto caller = co_await check(api, exchange, *std::move(headers));
  if (!caller.ok()) co_return refuse(api, exchange, caller.error());
  const auto wait = api.parts.rate_limits.take(
      exchange.route->rate, {http::Principal::Kind::kServer, caller->name.view()});
  if (wait) co_return http::limited(*wait);
  const auto permit = api.requests_at_once->enter(caller->name);
  if (!permit) co_return http::limited(http::kSoon);
  exchange.held_for = caller->name.str();
  exchange.caller = std::make_shared<kit::Caller>(*std::move(caller));
  co_return co_await next(exchange);
}

}  // namespace

http::Router::Around authentication(Api& api) {
  return [&api](http::Exchange& exchange, const http::Handler& next) {
    return authenticate(api, exchange, next);
  };
}

}  // namespace polder::federation_server
