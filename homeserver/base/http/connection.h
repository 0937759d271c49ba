// One connection of a client: requests in, responses out, in order. Private to this module.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "homeserver/base/http/held_bytes.h"
#include "homeserver/base/http/limits.h"
#include "homeserver/base/http/router.h"
#include "homeserver/base/http/stream.h"
#include "homeserver/base/values/ip_address.h"

namespace polder::http {

// What a connection shares with the server that accepted it.
struct ConnectionContext {
  runtime::Runtime& runtime;
  const Router& router;
  const Timeouts& timeouts;
  HeldBytes& bodies;
  HeldBytes& answers;
  Resources resources;
  std::string peer;  // its address
  const std::vector<IpRange>& trusted_proxies;
  const std::atomic<bool>& draining;
  std::function<void()> end;  // closes the connection, from any thread
};

// Serves until the connection ends, or, while draining, until the response under way has been sent.
// The stream outlives it; `busy` says whether a request is in flight.
Task<void> serve(Stream& stream, const ConnectionContext& context, bool& busy);

}  // namespace polder::http
