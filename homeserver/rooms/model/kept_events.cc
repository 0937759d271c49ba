#include "homeserver/rooms/model/kept_events.h"

#include <algorithm>

namespace polder::rooms {

const HeldEvent* KeptEvents::find(EventNumber number) const {
  const auto found = events_.find(number);
  return found == events_.end() ? nullptr : &found->second;
}

std::optional<EventNumber> KeptEvents::find(const EventId& id) const {
  for (const auto& [number, held] : events_) {
    if (held.event->id() == id) return number;
  }
  return std::nullopt;
}

void KeptEvents::keep(EventNumber number, HeldEvent event) {
  events_.insert_or_assign(number, std::move(event));
}

void KeptEvents::trim(const std::vector<EventNumber>& extremities) {
  const bool full = events_.size() > kEventsMax;
  std::erase_if(events_, [&](const auto& entry) {
    const auto& [number, held] = entry;
    if (std::ranges::find(extremities, number) != extremities.end()) return false;
    return full || !held.event->is_state();
  });
}

void KeptEvents::clear() {
  events_.clear();
}

}  // namespace polder::rooms
