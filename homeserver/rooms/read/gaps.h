// Gaps in a room's history: events whose prev events this server does not have.
#pragma once

#include "homeserver/rooms/read/reader.h"

namespace polder::rooms {

// Whether something lies before the event that is not here. Synchronous; on the pool.
Result<bool> has_gap_before(const RoomReader& reader, const HeldEvent& event);

}  // namespace polder::rooms
