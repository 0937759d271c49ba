// What is measured of finding servers.
#pragma once

#include "federation/discovery/discovery.h"

namespace polder::discovery {

void probe(const Discovery& discovery, metrics::Sink& sink);

}  // namespace polder::discovery
