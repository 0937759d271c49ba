// Events of a room that are held in memory.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "homeserver/protocol/dag/auth_chains.h"
#include "homeserver/protocol/events/event.h"
#include "storage/stores/rooms/event_rows.h"
#include "storage/stores/rooms/room_rows.h"

namespace polder::rooms {

using stores::EventNumber;
using stores::RoomNumber;

// Staged and not yet durable, or used a moment ago.
struct HeldEvent {
  events::EventPtr event;
  stores::EventRecord record;
  // Of a state event that is staged: in the index over auth chains.
  std::optional<dag::NewChainPlace> place = {};
  // How many commits under way write it: an outlier may find its place before it is on disk itself.
  uint32_t commits = 1;
  // The redaction that applies to it, where events are read as they are visible.
  std::optional<EventNumber> redaction = {};
};

// Events as they are on disk, of which the next one of the room is made: the forward extremities,
// and the state that allowed the last ones. Whoever writes an event's record without having the
// event among the pending ones clears it, once that is on disk: until then others read, and keep,
// what was there before.
class KeptEvents {
 public:
  const HeldEvent* find(EventNumber number) const;
  std::optional<EventNumber> find(const EventId& id) const;
  void keep(EventNumber number, HeldEvent event);
  // Lets go what is no state, and all that is too much, but for the extremities.
  void trim(const std::vector<EventNumber>& extremities);
  void clear();

 private:
  static constexpr size_t kEventsMax = 16;
  std::unordered_map<EventNumber, HeldEvent> events_;  // few
};

}  // namespace polder::rooms
