#include "homeserver/api/client/api.h"

#include "homeserver/api/client/guests.h"
#include "homeserver/sync/classic/sync.h"

namespace polder::client_api {
namespace {

// https://spec.matrix.org/v1.19/client-server-api/#using-access-tokens
std::string_view token_of(const http::Request& request) {
  constexpr std::string_view kBearer = "Bearer ";
  const std::string_view header = request.headers.find("Authorization");
  if (header.starts_with(kBearer)) return header.substr(kBearer.size());
  return request.query_parameter("access_token").value_or(std::string_view());
}

// Who tries tokens is their address. A session that has ended does not keep others of the same
// address from asking: only what is wrong counts there.
http::Response unauthenticated(const Api& api, const http::Exchange& exchange, const Error& error) {
  const auto wait =
      api.rate_limits.take(http::RateClass::kTokenFailed,
                           {http::Principal::Kind::kAddress, exchange.request.remote_address});
  return wait ? http::limited(*wait) : to_response(error);
}

// Of nobody in particular.
std::optional<http::Response> by_address(const Api& api, const http::Exchange& exchange) {
  const auto wait = api.rate_limits.take(
      exchange.route->rate, {http::Principal::Kind::kAddress, exchange.request.remote_address});
  return wait ? std::optional(http::limited(*wait)) : std::nullopt;
}

Task<std::optional<http::Response>> authenticate(const Api& api, http::Exchange& exchange) {
  const bool optional =
      exchange.route->authentication == http::Authentication::kOptionalAccessToken;
  if (exchange.route->authentication == http::Authentication::kNone)
    co_return by_address(api, exchange);
  const std::string token(token_of(exchange.request));
  if (token.empty() && optional) co_return by_address(api, exchange);
  if (token.empty()) {
    co_return unauthenticated(
        api, exchange,
        fail(ErrorCode::kUnauthenticated, "M_MISSING_TOKEN", "Missing access token"));
  }
  auto session = co_await api.sessions.authenticate(token);
  if (!session.ok()) co_return unauthenticated(api, exchange, session.error());
  if (exchange.route->authentication == http::Authentication::kAdmin && !session->admin) {
    co_return http::error_response(403, "M_FORBIDDEN", "You are not a server admin");
  }
  if (!session->admin) {
    const auto wait = api.rate_limits.take(exchange.route->rate,
                                           {http::Principal::Kind::kUser, session->user.view()});
    if (wait) co_return http::limited(*wait);
  }
  if (session->guest && !is_open_to_guests(*exchange.route))
    co_return http::error_response(403, "M_GUEST_ACCESS_FORBIDDEN", "Guests may not do this");
  if (exchange.route->changes_own_place) {
    api.sync.own_answers().begin(session->number);
    exchange.answered = [&api, user = session->number] { api.sync.own_answers().end(user); };
  }
  exchange.held_for = session->user.str();
  api.sessions.note_seen(*session, exchange.request.remote_address);
  exchange.caller = std::make_shared<kit::Caller>(*std::move(session));
  co_return std::nullopt;
}

}  // namespace

void add_operations(http::Router& router, const Api& api, std::span<const Operation> table) {
  kit::add_operations(router, api.runtime, api, table);
}

http::Router::Before authentication(const Api& api) {
  return [&api](http::Exchange& exchange) { return authenticate(api, exchange); };
}

}  // namespace polder::client_api
