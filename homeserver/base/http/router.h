// Routes are a table (docs/architecture.md, decision 15): one row an operation.
#pragma once

#include <bitset>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/http/message.h"
#include "homeserver/base/http/rate_limits.h"

// Who asks and what, as the layer of the APIs knows them (homeserver/api/kit/caller.h, call.h).
namespace polder::kit {
struct Caller;
struct Call;
}  // namespace polder::kit

namespace polder::http {

// Which listeners serve a route. It follows from the path, so that no route can be forgotten.
enum class Resource : uint8_t { kClient, kFederation, kMedia, kAdmin, kMetrics, kHealth };
using Resources = std::bitset<6>;
Resource resource_of(std::string_view path);

// Who may ask. The router only carries it; the hook that the upper layer installs enforces it.
enum class Authentication : uint8_t { kNone, kAccessToken, kOptionalAccessToken, kAdmin, kServer };
std::string_view to_string(Authentication authentication);

// Lives until its response has been sent.
struct Exchange {
  Request request;
  std::chrono::nanoseconds begun{0};  // by the server's clock, when it was routed
  const struct Route* route = nullptr;
  Resources served;                     // by the listener
  std::shared_ptr<kit::Caller> caller;  // as authentication found out; only carried here
  // The next two go once the handler has answered.
  std::shared_ptr<kit::Call> call;    // only carried here, too
  std::shared_ptr<const void> place;  // among the requests of who asks that are under way
  // For whom counts what the request and its answer hold in memory: the user's or the server's
  // name, as authentication found out; empty: the address.
  std::string held_for;
  // Called once the answer has been handed to the socket, or could not be.
  std::function<void()> answered;
  // Whether the client's connection has broken, so that nobody waits for the answer (stream.h);
  // empty: nobody can say. Quick; on the connection's shard.
  std::function<bool()> client_ended;
};

using Handler = std::function<Task<Result<Response>>(Exchange&)>;
// The answer that what a handler gave becomes.
using Conclude = std::function<Response(const Exchange&, Result<Response>)>;

// Whether a request has to have a body.
enum class Body : uint8_t {
  kRequired,
  kOptional,
  kText,    // required, and not parsed as a whole: the handler takes it apart
  kStream,  // the handler reads it itself, if there is one
};

struct Route {
  Method method = Method::kGet;
  std::string_view path;  // "/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}"
  Authentication authentication = Authentication::kNone;
  RateClass rate = RateClass::kNone;
  size_t body_max = 0;  // bytes; more is 413. 0: a body is ignored
  Handler handler;
  Conclude conclude = {};  // empty: to_response() of errors
  Body body = Body::kOptional;
  bool changes_own_place = false;         // in rooms: who asks hears of it by the answer first
  std::string_view operation = {};        // the specification's id of it, or one of this project's
  Resource resource = Resource::kClient;  // set by the router
};

// A table that is complete before the first request; then thread-safe.
class Router {
 public:
  Router();
  ~Router();

  void add(Route route);  // two routes of the same method and path are a bug
  // Paths that begin with the prefix are served as if they began with the other.
  void add_alias(std::string prefix, std::string stands_for);
  std::vector<const Route*> routes() const;

  // Before the body of a request that was routed is read: authentication, rate limits. Nothing, or
  // the answer.
  using Before = std::function<Task<std::optional<Response>>(Exchange&)>;
  void set_before(Before before) { before_ = std::move(before); }
  // With the answer to a request that was routed.
  using After = std::function<void(const Exchange&, const Response&)>;
  void set_after(After after) { after_ = std::move(after); }

  // A request in three steps, so that while a handler waits nothing of the others is in memory.
  // Never throws for what the request holds.
  Task<Response> handle(Exchange& exchange) const;
  // Finds the route, then what comes before, then reads the body. Nothing, or the answer.
  Task<std::optional<Response>> prepare(Exchange& exchange) const;
  // exchange.route->handler(exchange) is the second step; this is what it gave.
  Response conclude(Exchange& exchange, Result<Response> given) const;
  // What comes after an answer of either; adds CORS.
  void finish(const Exchange& exchange, Response& answer) const;

 private:
  struct Node;
  const Node* find(std::string_view path) const;
  std::optional<Response> route(Exchange& exchange) const;

  std::vector<std::unique_ptr<Route>> routes_;
  std::unique_ptr<Node> root_;
  std::vector<std::pair<std::string, std::string>> aliases_;
  Before before_;
  After after_;
};

// Reads the body of a request that was routed, unless its route streams. Nothing, or the refusal of
// a body that is too large (nothing of one that says so is read) or broken, or while too much is
// held for who sends it.
Task<std::optional<Response>> read_body(Exchange& exchange);

// {"errcode": ..., "error": ...}, and how long to wait if that is known.
Response error_response(int status, std::string_view errcode, std::string_view error,
                        std::optional<Millis> retry_after = std::nullopt);

}  // namespace polder::http
