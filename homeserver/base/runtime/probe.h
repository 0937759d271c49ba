// What is measured of a runtime.
#pragma once

#include "homeserver/base/metrics/metrics.h"
#include "homeserver/base/runtime/runtime.h"

namespace polder::runtime {

// What waits for each lane, and the jobs by name.
void probe(Runtime& runtime, metrics::Sink& sink);

}  // namespace polder::runtime
