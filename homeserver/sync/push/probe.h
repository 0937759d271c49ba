// What is measured of notifications.
#pragma once

#include "homeserver/base/metrics/metrics.h"
#include "homeserver/sync/push/counts.h"

namespace polder::push {

void probe(const Rules& rules, const Counts& counts, metrics::Sink& sink);

}  // namespace polder::push
