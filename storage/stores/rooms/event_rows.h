// Rows of events: what is stored once (the PDU), what can change (the record), and the indexes that
// lead to them. Events are numbered by their room, from 1, in the order in which the room stored
// them.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"

namespace polder::stores {

// Where a root of a persistent state map is; node 0 is the empty map.
struct StateRoot {
  uint64_t node = 0;
  uint64_t hash = 0;
  friend bool operator==(const StateRoot&, const StateRoot&) = default;
};

// What became of an event on receipt.
struct Standing {
  bool outlier = false;   // known, but its place in the DAG is not: no state, in no timeline
  bool rejected = false;  // failed the authorisation rules of its own past
  bool soft_failed =
      false;  // allowed by its past, refused by the current state: hidden from clients
  bool backfilled = false;  // entered the order by depth only
  bool partial = false;     // its state before is known in part; it was checked by that part
};

struct EventRecord {
  Standing standing;
  kv::Position position = 0;  // 0 for outliers
  int64_t depth = 0;
  StateRoot state_before;  // none for outliers
  StateRoot state_after;
  int64_t room_depth = 0;  // the greatest depth in the room once the event was there
  // The room's current state once the event was there, if other forward extremities made it another
  // one than state_after.
  std::optional<StateRoot> room_state;
  std::vector<EventNumber> prev_events;  // those that are known here
  std::vector<EventNumber> auth_events;
};

struct EventPlace {
  RoomNumber room = 0;
  EventNumber number = 0;
};

// Writes an event's rows. The record's position is given by the slot where there is one (everything
// but outliers), and enters the timeline (unless rejected, soft-failed or backfilled) and the order
// by depth.
void put_event(kv::Batch& batch, EventPlace place, const EventId& id, std::string_view json,
               const EventRecord& record, std::optional<kv::PositionSlot> slot);
// Rewrites the record of an event whose position is known.
void put_event_record(kv::Batch& batch, EventPlace place, const EventRecord& record);
// Takes an event out of the timeline and the order by depth: it was accepted, and is not any more.
void erase_from_timelines(kv::Batch& batch, RoomNumber room, const EventRecord& record);

// The bytes under which an event's id stands in keys: short for ids that are hashes.
std::string event_id_bytes(const EventId& id);
Result<std::optional<EventPlace>> find_event(const kv::Snapshot& snapshot, const EventId& id);
Result<std::optional<EventPlace>> find_event_by_bytes(const kv::Snapshot& snapshot,
                                                      std::string_view id_bytes);
Result<std::optional<EventRecord>> read_event_record(const kv::Snapshot& snapshot,
                                                     EventPlace place);
// The canonical JSON; nothing if the event is not there.
Result<std::optional<std::string>> read_event_json(const kv::Snapshot& snapshot, EventPlace place);
Result<std::vector<std::optional<std::string>>> read_event_jsons(
    const kv::Snapshot& snapshot, RoomNumber room, std::span<const EventNumber> numbers);

// One step in a room's timeline.
struct TimelineEntry {
  kv::Position position = 0;
  EventNumber number = 0;
};
// Entries with from < position <= to, newest first, at most limit.
Result<std::vector<TimelineEntry>> read_timeline_backwards(const kv::Snapshot& snapshot,
                                                           RoomNumber room, kv::Position from,
                                                           kv::Position to, size_t limit);
// The same, oldest first.
Result<std::vector<TimelineEntry>> read_timeline_forwards(const kv::Snapshot& snapshot,
                                                          RoomNumber room, kv::Position from,
                                                          kv::Position to, size_t limit);

// A place in the order by (depth, position). Where a page ends it stands for the boundary before
// the event that is there, so that events before it, and from it on, are well defined.
struct DepthPlace {
  int64_t depth = 0;
  kv::Position position = 0;
  friend auto operator<=>(const DepthPlace&, const DepthPlace&) = default;
};
// The boundary behind the event that is there.
constexpr DepthPlace after(DepthPlace event) {
  return {event.depth, event.position + 1};
}
// After every event.
inline constexpr DepthPlace kLastPlace{std::numeric_limits<int64_t>::max(), kv::kLastPosition};
struct DepthEntry {
  DepthPlace place;
  EventNumber number = 0;
};
// Strictly before `from`, newest first; from `from` on, oldest first.
Result<std::vector<DepthEntry>> read_before(const kv::Snapshot& snapshot, RoomNumber room,
                                            DepthPlace from, size_t limit);
Result<std::vector<DepthEntry>> read_from(const kv::Snapshot& snapshot, RoomNumber room,
                                          DepthPlace from, size_t limit);

}  // namespace polder::stores
