// What is measured of the room engine.
#pragma once

#include "homeserver/base/metrics/metrics.h"
#include "homeserver/rooms/engine/engine.h"

namespace polder::rooms {

// Caches, and what the policy refused.
void probe(const RoomEngine& engine, metrics::Sink& sink);

}  // namespace polder::rooms
