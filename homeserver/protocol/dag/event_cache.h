// The events that one run of the rules has looked at.
#pragma once

#include <memory_resource>
#include <optional>
#include <span>
#include <vector>

#include "homeserver/protocol/dag/number_table.h"
#include "homeserver/protocol/dag/run_memory.h"
#include "homeserver/protocol/dag/source.h"
#include "homeserver/protocol/events/event.h"

namespace polder::dag {

// An event's number within a run, from 0 on, in the order in which events were first asked for.
using Slot = uint32_t;

// Reads each event, its links and its standing at most once from the source, which it borrows.
// What it returns lives as long as it does.
class EventCache {
 public:
  explicit EventCache(Source& source) : source_(source) {
    numbers_.reserve(events::kMaxAuthEvents);
  }
  EventCache(const EventCache&) = delete;
  EventCache& operator=(const EventCache&) = delete;

  // Reads nothing.
  Slot slot_of(EventNumber number) {
    const Slot slot = table_.slot_of(number);
    if (slot == entries_.size()) {
      if (slot == entries_.capacity()) entries_.reserve(slot == 0 ? 32 : size_t{2} * slot);
      entries_.emplace_back();
    }
    return slot;
  }
  EventNumber number_of(Slot slot) const { return table_.number(slot); }
  size_t size() const { return entries_.size(); }

  Result<const events::Event*> event(Slot slot) {
    if (!entries_[slot].event) POLDER_CHECK(read(slot));
    return entries_[slot].event.get();
  }
  // One that was read before.
  const events::Event& known_event(Slot slot) const { return *entries_[slot].event; }
  // Which are read, too. kCorrupt if one's number is not smaller than the event's own.
  Result<std::span<const Slot>> auth_events(Slot slot) {
    if (!entries_[slot].has_auth_events) POLDER_CHECK(read_auth_events(slot));
    return entries_[slot].auth_events;
  }
  // Null if the event was rejected.
  Result<const events::Event*> accepted_event(Slot slot) {
    const Entry& entry = entries_[slot];
    if (entry.standing == Standing::kAccepted && entry.event) return entry.event.get();
    return read_accepted_event(slot);
  }
  // Of the event's auth events, the one with that state key.
  Result<std::optional<Slot>> auth_event(Slot slot, events::StateKeyView key);
  // The same for m.room.power_levels, which every ordering asks for.
  Result<std::optional<Slot>> auth_power_levels(Slot slot) {
    if (!entries_[slot].has_auth_events) POLDER_CHECK(read_auth_events(slot));
    return entries_[slot].power_levels;
  }
  // The create event of the room of that event, or none if the event names none.
  Result<std::optional<Slot>> create_event(Slot slot);

  Source& source() const { return source_; }
  // For what a run needs beside it: given back at once, with the cache.
  std::pmr::memory_resource* memory() { return memory_.get(); }

 private:
  enum class Standing : uint8_t { kUnknown, kAccepted, kRejected };
  struct Entry {
    events::EventPtr event;
    std::span<const Slot> auth_events;
    std::optional<Slot> power_levels;  // among them
    bool has_auth_events = false;
    Standing standing = Standing::kUnknown;
  };

  Status read(Slot slot);
  Status read_auth_events(Slot slot);
  Result<const events::Event*> read_accepted_event(Slot slot);

  Source& source_;
  RunMemory memory_;
  NumberTable table_{memory_.get()};  // of entries_
  std::pmr::vector<Entry> entries_{memory_.get()};
  std::vector<EventNumber> numbers_;  // of auth events, while they are read
  std::optional<Slot> create_;
};

}  // namespace polder::dag
