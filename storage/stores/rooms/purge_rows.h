// Rows of rooms that are purged, and what belongs to a room (docs/formats/columns.md).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"
#include "storage/stores/base/row_forms.h"
#include "storage/stores/rooms/room_rows.h"

namespace polder::stores {

// Stays for good: if the room is entered again, its events and nodes are numbered on from here, so
// that a number means one thing for ever.
struct PurgeRow {
  std::string version;  // of the room
  EventNumber last_event = 0;
  uint64_t last_node = 0;
  EventNumber unlisted = 0;  // no index leads to events up to here any more
  bool done = false;
};
void put_purge(kv::Batch& batch, RoomNumber room, const PurgeRow& row);
Result<std::optional<PurgeRow>> read_purge(const kv::Snapshot& snapshot, RoomNumber room);
Status for_each_purge(const kv::Snapshot& snapshot,
                      const std::function<Status(RoomNumber, const PurgeRow&)>& visit);

// The history of a room before some depth is purged, or was.
struct HistoryPurgeRow {
  int64_t below = 0;        // events of smaller depth go; RoomRecord::history_from says the same
  bool local_too = false;   // also the content of events of this server's users
  EventNumber last = 0;     // events up to here are looked at
  EventNumber reached = 0;  // up to here they were
  bool done = false;
};
void put_history_purge(kv::Batch& batch, RoomNumber room, const HistoryPurgeRow& row);
Result<std::optional<HistoryPurgeRow>> read_history_purge(const kv::Snapshot& snapshot,
                                                          RoomNumber room);
Status for_each_history_purge(
    const kv::Snapshot& snapshot,
    const std::function<Status(RoomNumber, const HistoryPurgeRow&)>& visit);

// What makes a room one that is here: its record and all that stays with that.
void erase_room(kv::Batch& batch, RoomNumber room);
void erase_membership(kv::Batch& batch, UserNumber user, RoomNumber room);
// What leads to an event from outside of the room: its id and the stream of all events.
void unlist_event(kv::Batch& batch, const EventId& id, kv::Position position);

// An event's content, record and id.
void erase_event(kv::Batch& batch, EventPlace place, const EventId& id);

// Where all else of a room is (Lifetime::kPurge).
std::vector<RowRange> ranges_of_room(RoomNumber room);

}  // namespace polder::stores
