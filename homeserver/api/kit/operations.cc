#include "homeserver/api/kit/operations.h"

#include "homeserver/base/http/errors.h"
#include "homeserver/base/json/parse.h"

namespace polder::kit {
namespace {

// What this server failed at, and every refusal of another server, once.
void log_refusal(Log& log, const http::Exchange& exchange, int status, std::string_view reason) {
  const Server* server = exchange.caller ? exchange.caller->server() : nullptr;
  if (server != nullptr) {
    const LogLevel level = status < 500 ? LogLevel::kInfo : LogLevel::kError;
    const base::LogField fields[] = {{"route", exchange.route->path},
                                     {"origin", server->name},
                                     {"status", status},
                                     {"reason", reason}};
    log.write(level, "federation_request_refused", fields);
  } else if (status == 500) {
    log.error("request_failed", {{"route", exchange.route->path}, {"reason", reason}});
  }
}

constexpr size_t kBodyBytesMax = size_t{64} << 20;  // the operation's own limit is less
constexpr int kDepthMax = 100;                      // of a client's body
constexpr size_t kParsedAtOnce = 16 * 1024;  // bytes; more takes long enough to be done elsewhere

// M_NOT_JSON if it is no JSON, M_BAD_JSON if it is no object, or one that nests too deep.
Result<json::Object> parse_body(std::string_view text, const json::ParseLimits& limits) {
  auto parsed = json::parse_object(text, limits);
  if (parsed.ok() || parsed.error().code == ErrorCode::kMalformed) return parsed;
  return fail(ErrorCode::kBadType, parsed.error().message);
}

Task<Status> read_body(runtime::Runtime& runtime, Call& call) {
  http::Exchange& exchange = call.exchange;
  const http::Route& route = *exchange.route;
  auto* server = exchange.caller ? std::get_if<Server>(&exchange.caller->who) : nullptr;
  std::string text = std::move(server != nullptr ? server->text : exchange.request.body);
  if (text.empty() && route.body == http::Body::kOptional) co_return Status();
  if (text.empty())
    co_return fail(ErrorCode::kMalformed, "The request needs a JSON object as its body");
  if (route.body == http::Body::kText) {
    call.text = std::move(text);
    co_return Status();
  }
  // Servers send events, which are limited by their size only.
  json::ParseLimits limits{.max_bytes = kBodyBytesMax};
  if (server == nullptr) limits.max_depth = kDepthMax;
  if (text.size() <= kParsedAtOnce) {
    POLDER_CO_TRY(call.body, parse_body(text, limits));
    co_return Status();
  }
  const std::string* whole = &text;
  POLDER_CO_TRY(call.body,
                co_await runtime::on_pool(runtime, runtime::Lane::kShort,
                                          [whole, limits] { return parse_body(*whole, limits); }));
  co_return Status();
}

http::Response refused(Log& log, const http::Exchange& exchange, Error error) {
  // What a server is told of an event whose signature is wrong.
  if (error.code == ErrorCode::kBadSignature && exchange.caller && exchange.caller->server())
    error.code = ErrorCode::kInvalid;
  http::Response refusal = http::to_response(error);
  log_refusal(log, exchange, refusal.status, error.message);
  return refusal;
}

http::Response answered(Log& log, const http::Exchange& exchange, Result<http::Response> response) {
  if (!response.ok()) return refused(log, exchange, std::move(response).error());
  if (response->status >= 400) {
    const auto& slices = response->body;
    log_refusal(log, exchange, response->status,
                slices.empty() ? std::string_view() : slices.front().bytes);
  }
  return *std::move(response);
}

Task<Result<http::Response>> read_and_act(runtime::Runtime& runtime, Call& call,
                                          const Action& action) {
  POLDER_CO_CHECK(co_await read_body(runtime, call));
  co_return co_await action(call);
}

bool has_body(const http::Route& route) {
  return route.body_max > 0 && route.body != http::Body::kStream;
}

// No task itself where nothing is read: many of those wait.
Task<Result<http::Response>> run(runtime::Runtime& runtime, http::Exchange& exchange,
                                 const Action& action) {
  exchange.call = std::make_shared<Call>(Call{exchange, {}});
  return has_body(*exchange.route) ? read_and_act(runtime, *exchange.call, action)
                                   : action(*exchange.call);
}

}  // namespace

void add_route(http::Router& router, runtime::Runtime& runtime, http::Route route, Action action) {
  route.handler = [&runtime, action = std::move(action)](http::Exchange& exchange) {
    return run(runtime, exchange, action);
  };
  route.conclude = [&runtime](const http::Exchange& exchange, Result<http::Response> given) {
    return answered(runtime.log(), exchange, std::move(given));
  };
  router.add(std::move(route));
}

}  // namespace polder::kit
