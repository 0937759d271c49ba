// What is measured of sessions.
#pragma once

#include "homeserver/base/metrics/metrics.h"
#include "homeserver/users/sessions/sessions.h"

namespace polder::users {

void probe(const Sessions& sessions, metrics::Sink& sink);

}  // namespace polder::users
