// What is measured of sending to other servers.
#pragma once

#include "federation/sender/sender.h"
#include "homeserver/base/metrics/metrics.h"

namespace polder::sender {

void probe(const Sender& sender, metrics::Sink& sink);

}  // namespace polder::sender
