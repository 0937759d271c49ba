// The state of a room is known in part (storage/stores/rooms/partial_rows.h) until the whole has
// come: then what was built on the part is put right. Staging of it; the upkeep asks other servers
// and calls this in turns of the room.
#pragma once

#include <map>
#include <vector>

#include "homeserver/rooms/write/stage.h"

namespace polder::rooms {

struct Completion {
  std::vector<Staged> staged;  // for one batch; empty if nothing could be done
  bool done = false;           // once that is stored, no event has a partial state
};

// Gives up to max events their state before: those in `whole` the state that was fetched, others
// what follows from their prev events, where these have theirs. What the rules refuse by it is
// rejected now, and its state goes; what was rejected stays so. The room's current state follows.
// On any error the room is as it was.
Result<Completion> stage_completion(const StageContext& context, Room& room,
                                    const kv::Snapshot& snapshot,
                                    const std::map<EventNumber, stores::StateRoot>& whole,
                                    size_t max);

}  // namespace polder::rooms
