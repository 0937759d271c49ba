// Gaps in a room's history: events whose prev events this server does not have.
#pragma once

#include "homeserver/rooms/reader.h"

namespace polder::rooms {

// Whether something lies before the event that is not here. Synchronous; on the pool.
Result<bool> has_gap_before(const RoomReader& reader, const HeldEvent& event);

// Servers of the room that may have what is missing here, those with most members first, at most
// three. Synchronous; on the pool.
Result<std::vector<ServerName>> servers_to_ask(const RoomEngine& engine, const RoomHead& head);

// Asks servers of the room, those with most members first, for up to `limit` events before the
// given ones, until one gives any. Gives how many are new here; none if nobody could help.
Task<size_t> fill_gap(RoomEngine& engine, RoomHeadPtr head, std::vector<EventId> before,
                      size_t limit);

}  // namespace polder::rooms
