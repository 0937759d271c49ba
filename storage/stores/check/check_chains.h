// The part of the check that holds the index over auth chains against the records of events.
#pragma once

#include <map>

#include "storage/stores/check/check_room.h"

namespace polder::stores {

// Every state event has a place, its chain is of its key and of its auth events, its links are to
// auth events, and each auth event is linked or implied: by the chain, or by what another auth
// event links to directly. From there on the same holds of them.
Status check_chains(const CheckContext& context, RoomNumber room,
                    const std::map<EventNumber, KnownEvent>& events);

}  // namespace polder::stores
