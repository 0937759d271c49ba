// Rows of what this server knows in part: events whose state before was given by another server and
// not all of it could be taken yet, and the events that build on them.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"
#include "storage/stores/rooms/event_rows.h"

namespace polder::stores {

// An event with which a partial state came: the join by which this server entered the room, or the
// first event after a gap.
struct PartialOrigin {
  int64_t since_ms = 0;             // when it came, in ms since the epoch
  std::vector<ServerName> servers;  // that may know the whole, and may have members that are not
                                    // known yet; the one that told the part first
};

void put_partial_origin(kv::Batch& batch, EventPlace place, const PartialOrigin& origin);
void erase_partial_origin(kv::Batch& batch, EventPlace place);
Result<std::vector<std::pair<EventNumber, PartialOrigin>>> read_partial_origins(
    const kv::Snapshot& snapshot, RoomNumber room);

// The events of a room with a partial state, in the order in which they came: each after those that
// it builds on.
void put_partial_event(kv::Batch& batch, EventPlace place, kv::PositionSlot slot);
void erase_partial_event(kv::Batch& batch, RoomNumber room, kv::Position position);
struct PartialEvent {
  kv::Position position = 0;
  EventNumber number = 0;
};
Result<std::vector<PartialEvent>> read_partial_events(const kv::Snapshot& snapshot, RoomNumber room,
                                                      size_t limit);

// When the room's state was known in full after it had been known in part: whoever was told of it
// before has to be told anew.
void put_completed_at(kv::Batch& batch, RoomNumber room, kv::PositionSlot slot);
Result<kv::Position> read_completed_at(const kv::Snapshot& snapshot, RoomNumber room);  // 0: never

}  // namespace polder::stores
