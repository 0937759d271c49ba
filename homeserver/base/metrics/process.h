// What the operating system says of this process, under the names that Prometheus' own clients use.
#pragma once

#include "homeserver/base/metrics/metrics.h"

namespace polder::metrics {

// Processor time, memory, descriptors and threads. Reads /proc; tells nothing where there is none.
void probe_process(Sink& sink);

}  // namespace polder::metrics
