// A room's forward extremities when there are many of them. Whoever may send can fork a room as
// often as they like, and every event resolves the states of all forks.
#pragma once

#include <vector>

#include "homeserver/rooms/model/room_view.h"

namespace polder::rooms {

// From so many on, the writer joins them by an event of a local user, as other servers do.
inline constexpr size_t kJoinedExtremities = 10;
// So many are kept: all of them fit into the prev events of one event.
inline constexpr size_t kExtremitiesKept = 20;

// Which extremities the next local event names as its prev events: those of this server, then the
// newest. At most events::kMaxPrevEvents.
Result<std::vector<EventNumber>> extremities_to_build_on(
    const RoomView& view, const ServerName& own_name, const std::vector<EventNumber>& extremities);

// Drops one of too many extremities: the oldest of the server that has the most, which is the one
// that forks the room; never one of this server, and not the newest. A dropped event is on the edge
// no more, until somebody builds on it.
Status prune_extremities(const RoomView& view, const ServerName& own_name,
                         std::vector<EventNumber>& extremities);

// Whether an extremity builds on the event, as far as their links are known. Bounded: the deepest
// are followed first.
Result<bool> is_built_on(const RoomView& view, const std::vector<EventNumber>& extremities,
                         EventNumber event);

}  // namespace polder::rooms
