// What is measured of requests to other servers, besides what the gate counts (egress/probe.h).
#pragma once

#include "federation/transport/transport.h"
#include "homeserver/base/metrics/metrics.h"

namespace polder::transport {

void probe(const NetworkServers& servers, metrics::Sink& sink);

}  // namespace polder::transport
