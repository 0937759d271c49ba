// The part of the check that looks at one room.
#pragma once

#include <map>
#include <set>

#include "storage/stores/check/check.h"
#include "storage/stores/rooms/room_rows.h"

namespace polder::stores {

// What the rows that are kept by other keys than a room say of it.
struct RoomMentions {
  std::set<EventNumber> ids;                   // events that an event id leads to
  std::map<kv::Position, EventNumber> stream;  // in the stream of all events
  std::map<UserNumber, EventNumber> joined;    // members, and their membership events
  std::map<UserNumber, EventNumber> invited;
  std::set<EventNumber> memberships;  // events that rows of memberships name
};

// What a check shares. Used by one thread.
struct CheckContext {
  const kv::Snapshot& snapshot;
  const kv::Position last_position;
  const EventReader& reader;
  CheckReport& report;

  void fault(std::string what) const {
    if (report.faults.size() < kMaxFaults) report.faults.push_back(std::move(what));
  }
};

struct KnownEvent {
  EventRecord record;
  std::optional<EventFacts> facts;  // with a reader
};

Status check_room(const CheckContext& context, RoomNumber room, const RoomRecord& record,
                  const RoomMentions& mentions);

}  // namespace polder::stores
