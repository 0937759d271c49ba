// What is measured of /sync.
#pragma once

#include "homeserver/base/metrics/metrics.h"
#include "homeserver/sync/classic/sync.h"

namespace polder::sync {

void probe(const Sync& sync, metrics::Sink& sink);

}  // namespace polder::sync
