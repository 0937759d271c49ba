// Tables of operations: constant data, from which routes, documentation and the list of what is
// served derive.
#pragma once

#include <functional>
#include <span>

#include "homeserver/api/kit/call.h"
#include "homeserver/base/runtime/runtime.h"

namespace polder::kit {

// What an operation asks of a request.
struct Terms {
  http::Authentication authentication = http::Authentication::kAccessToken;
  http::RateClass rate = http::RateClass::kCheap;
  size_t body_max = 0;  // bytes; 0 for none. Bodies are JSON objects, unless they are streams
  http::Body body = http::Body::kRequired;
  bool changes_own_place = false;  // in rooms: who asks hears of it by the answer first
};

// A row of a table. Services are what the handlers of a module work with.
template <class Services>
struct Operation {
  // The specification's id of it, by which its text is found; or "admin." and a name for what
  // Synapse's documentation has.
  std::string_view id;
  http::Method method = http::Method::kGet;
  std::string_view path;
  Task<Result<http::Response>> (*handler)(Services& services, Call& call) = nullptr;
  Terms terms = {};
};

using Action = std::function<Task<Result<http::Response>>(Call&)>;

// Adds one route: the body is parsed, errors are answered, and failures of this server and refusals
// of other servers are logged. The runtime outlives the router.
void add_route(http::Router& router, runtime::Runtime& runtime, http::Route route, Action action);

template <class Services>
http::Route route_of(const Operation<Services>& operation) {
  return {.method = operation.method,
          .path = operation.path,
          .authentication = operation.terms.authentication,
          .rate = operation.terms.rate,
          .body_max = operation.terms.body_max,
          .handler = {},
          .body = operation.terms.body,
          .changes_own_place = operation.terms.changes_own_place,
          .operation = operation.id};
}

// The services outlive the router.
template <class Services>
void add_operations(http::Router& router, runtime::Runtime& runtime, Services& services,
                    std::span<const Operation<Services>> table) {
  for (const Operation<Services>& operation : table) {
    const auto handler = operation.handler;
    add_route(router, runtime, route_of(operation),
              [&services, handler](Call& call) { return handler(services, call); });
  }
}

// Largest bodies, in bytes.
inline constexpr size_t kSmallBody = 64 * 1024;
inline constexpr size_t kLargeBody = 1024 * 1024;

}  // namespace polder::kit
