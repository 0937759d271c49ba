// Who asks: signed requests.
// https://spec.matrix.org/v1.19/server-server-api/#request-authentication
#include <algorithm>

#include "federation/server/api.h"
#include "federation/server/requests_at_once.h"
#include "federation/wire/authorization.h"
#include "homeserver/base/http/errors.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/rooms/write/writer.h"

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

// A header and the key that it names.
struct Proof {
  wire::Authorization header;
  crypto::VerifyKey key;
};

// Before anything is read of a body: whoever signs with a key that nobody knows sends none.
Task<Result<std::vector<Proof>>> find_keys(Api& api, const http::Exchange& exchange,
                                           std::vector<wire::Authorization> headers) {
  std::vector<Proof> proofs;
  Error failure = unauthorized("The signature is wrong");
  for (wire::Authorization& header : headers) {
    const auto key = co_await api.parts.keyring.key_for_stranger(header.origin, header.key,
                                                                 api.runtime().clock().wall_ms(),
                                                                 exchange.request.remote_address);
    if (key.ok()) {
      proofs.push_back({std::move(header), *key});
    } else {
      failure = key_failure(key.error());
    }
  }
  if (proofs.empty()) co_return failure;
  co_return proofs;
}

bool proves(const Api& api, const http::Request& request, const std::vector<Proof>& proofs,
            std::string_view content) {
  return std::ranges::any_of(proofs, [&](const Proof& proof) {
    const wire::SignedRequest signed_request{.method = http::to_string(request.method),
                                             .uri = request.target,
                                             .origin = proof.header.origin,
                                             .destination = api.own_name(),
                                             .content = content};
    return wire::verify(signed_request, proof.header, proof.key);
  });
}

Result<std::string> canonical(std::string_view text) {
  POLDER_TRY(const json::Object object, json::parse_object(text, {.max_bytes = kTransactionBody}));
  return json::write(object);
}

// What was signed is canonical JSON, and mostly that is what is sent. Only what is not must be
// parsed before the signature can be checked; large ones one at a time, as they take many times
// their size.
Task<Result<std::string>> signed_text(Api& api, const http::Request& request,
                                      std::shared_ptr<const std::vector<Proof>> proofs) {
  const http::Request* asked = &request;
  const Api* own = &api;
  const bool as_sent = co_await runtime::on_pool(api.runtime(), runtime::Lane::kShort, [=] {
    return proves(*own, *asked, *proofs, asked->body);
  });
  if (as_sent || request.body.empty()) {
    if (as_sent) co_return request.body;
    co_return unauthorized("The signature is wrong");
  }
  const auto rewrite = [=, &api]() -> Task<Result<std::string>> {
    std::optional<runtime::SerialQueue::Turn> turn;
    if (asked->body.size() > kSmallBody) turn.emplace(co_await api.unproved_bodies.turn());
    co_return co_await runtime::on_pool(api.runtime(), runtime::Lane::kLong,
                                        [=] { return canonical(asked->body); });
  };
  POLDER_CO_TRY(std::string text, co_await runtime::on_shard(api.runtime(), 0, rewrite));
  auto shared = std::make_shared<const std::string>(std::move(text));
  const bool good = co_await runtime::on_pool(
      api.runtime(), runtime::Lane::kShort, [=] { return proves(*own, *asked, *proofs, *shared); });
  if (!good) co_return unauthorized("The signature is wrong");
  co_return *shared;
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

struct ReadBody {
  std::string text;
  std::optional<http::Response> refusal;
};

// The body, once the signature is found to be right for it.
Task<ReadBody> read_proved(Api& api, http::Exchange& exchange, std::vector<Proof> proofs) {
  http::Request& request = exchange.request;
  ReadBody read;
  read.refusal = co_await http::read_body(exchange);
  if (read.refusal) co_return read;
  const auto shared = std::make_shared<const std::vector<Proof>>(std::move(proofs));
  auto text = co_await signed_text(api, request, shared);
  if (!text.ok()) {
    read.refusal = refuse(api, exchange, text.error());
  } else {
    read.text = *std::move(text);
    request.body.clear();
  }
  co_return read;
}

Task<std::optional<http::Response>> authenticate(Api& api, http::Exchange& exchange) {
  if (exchange.route->authentication != http::Authentication::kServer) co_return std::nullopt;
  auto headers = read_headers(api, exchange.request);
  if (!headers.ok()) co_return refuse(api, exchange, headers.error());
  const auto already = limited_already(api, exchange, headers->front().origin);
  if (already) co_return http::limited(*already);
  auto proofs = co_await find_keys(api, exchange, *std::move(headers));
  if (!proofs.ok()) co_return refuse(api, exchange, proofs.error());
  const ServerName origin = proofs->front().header.origin;
  auto read = co_await read_proved(api, exchange, *std::move(proofs));
  if (read.refusal) co_return *std::move(read.refusal);
  const auto wait = api.parts.rate_limits.take(exchange.route->rate,
                                               {http::Principal::Kind::kServer, origin.view()});
  if (wait) co_return http::limited(*wait);
  auto permit = api.requests_at_once->enter(origin);
  if (!permit) co_return http::limited(http::kSoon);
  const Status permitted = api.writer().permit_known(
      {.point = policy::Point::kFederateIn, .type = std::string(exchange.route->operation)},
      policy::Server{origin}, {.federation = policy::Federation()});
  if (!permitted.ok()) co_return http::to_response(permitted.error());
  exchange.held_for = origin.str();
  exchange.place = std::make_shared<RequestsAtOnce::Permit>(*std::move(permit));
  exchange.caller =
      std::make_shared<kit::Caller>(kit::Caller{kit::Server{origin, std::move(read.text)}});
  co_return std::nullopt;
}

}  // namespace

http::Router::Before authentication(Api& api) {
  return [&api](http::Exchange& exchange) { return authenticate(api, exchange); };
}

}  // namespace polder::federation_server
