// What is measured of connections and requests.
#pragma once

#include "homeserver/base/http/rate_limits.h"
#include "homeserver/base/http/server.h"
#include "homeserver/base/metrics/metrics.h"

namespace polder::http {

void probe(const Server& server, metrics::Sink& sink);
void probe(const RateLimits& limits, metrics::Sink& sink);

}  // namespace polder::http
