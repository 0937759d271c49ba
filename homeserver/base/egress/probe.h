// What is measured of requests that go out.
#pragma once

#include "homeserver/base/egress/egress.h"
#include "homeserver/base/metrics/metrics.h"

namespace polder::egress {

void probe(const CheckedEgress& egress, metrics::Sink& sink);

}  // namespace polder::egress
