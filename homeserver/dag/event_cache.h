// The events that one run of the rules has looked at.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "homeserver/dag/number_table.h"
#include "homeserver/dag/source.h"
#include "homeserver/events/event.h"

namespace polder::dag {

// Reads each event, its links and its standing at most once from the source, which it borrows.
// What it returns lives as long as it does.
class EventCache {
 public:
  explicit EventCache(Source& source) : source_(source) {}
  EventCache(const EventCache&) = delete;
  EventCache& operator=(const EventCache&) = delete;

  Result<const events::Event*> event(EventNumber number);
  // kCorrupt if an auth event's number is not smaller than the event's own.
  Result<std::span<const EventNumber>> auth_events(EventNumber number);
  // Null if the event was rejected.
  Result<const events::Event*> accepted_event(EventNumber number);
  // Of the event's auth events, the one with that state key.
  Result<std::optional<EventNumber>> auth_event(EventNumber number, events::StateKeyView key);
  // The create event of the room of that event, or none if the event names none.
  Result<std::optional<EventNumber>> create_event(EventNumber number);
  Source& source() { return source_; }

 private:
  struct Entry {
    events::EventPtr event;
    std::optional<std::vector<EventNumber>> auth_events;
    std::optional<bool> rejected;
  };

  Entry& entry(EventNumber number) {
    const uint32_t slot = table_.slot_of(number);
    if (slot == entries_.size()) {
      if (slot == entries_.capacity()) entries_.reserve(std::max<size_t>(32, 2 * slot));
      entries_.emplace_back();
    }
    return entries_[slot];
  }

  Source& source_;
  NumberTable table_;  // of entries_
  std::vector<Entry> entries_;
  std::optional<EventNumber> create_;
};

}  // namespace polder::dag
