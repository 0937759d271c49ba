// The two orders in which state resolution replays events.
// https://spec.matrix.org/v1.19/rooms/v2/#definitions
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "homeserver/protocol/dag/event_cache.h"

namespace polder::dag {

// The reverse topological power ordering of a set of events (without duplicates): each after those
// of its auth events that are in the set; where that leaves a choice, first the sender with more
// power, the earlier origin_server_ts, the smaller event id.
Result<std::pmr::vector<Slot>> power_ordering(std::span<const Slot> set, EventCache& cache);

// The mainline ordering of a set of events, based on a power levels event (none: an empty
// mainline).
Result<std::pmr::vector<Slot>> mainline_ordering(std::span<const Slot> set,
                                                 std::optional<Slot> power_levels,
                                                 EventCache& cache);

}  // namespace polder::dag
