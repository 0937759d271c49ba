#include "homeserver/rooms/room.h"

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

void Room::settle(Caches& caches) {
  for (const Settled& done : std::exchange(settled, {})) {
    for (const uint64_t node : done.nodes) {
      if (auto held = pending_nodes.extract(node))
        stores::keep_node(caches.nodes, number, node, std::move(held.mapped()));
    }
    const auto held = pending.find(done.event);
    if (held == pending.end() || --held->second.commits > 0) continue;
    if (const auto& place = held->second.place) {
      const auto end = pending_chain_ends.find(place->chain);
      if (end != pending_chain_ends.end() && end->second == done.event)
        pending_chain_ends.erase(end);
    }
    if (held->second.event->is_state()) keep_event(caches, number, done.event, held->second.event);
    kept.keep(done.event, std::move(held->second));
    pending.erase(held);
    pending_ids.erase(done.id);
  }
}

void Room::forget() {
  pending.clear();
  pending_ids.clear();
  pending_chain_ends.clear();
  pending_nodes.clear();
  kept.clear();
  settled.clear();
  record = {};
  servers.clear();
  exists = loaded = failed = false;
}

}  // namespace polder::rooms
