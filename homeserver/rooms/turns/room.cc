#include "homeserver/rooms/turns/room.h"

namespace polder::rooms {

void Room::settle(Caches& caches) {
  for (const Settled& done : std::exchange(settled, {})) {
    for (const uint64_t node : done.nodes) {
      if (auto held = pending_nodes.extract(node))
        stores::keep_node(caches.nodes, number, node, std::move(held.mapped()));
    }
    if (done.erases) kept.clear();
    const auto held = pending.find(done.event);
    if (held == pending.end() || --held->second.commits > 0) continue;
    if (const auto& place = held->second.place) {
      const auto end = pending_chain_ends.find(place->chain);
      if (end != pending_chain_ends.end() && end->second == done.event)
        pending_chain_ends.erase(end);
    }
    if (held->second.event->is_state()) keep_event(caches, number, done.event, held->second.event);
    held->second.record.position = done.position;
    held->second.commits = 1;  // of whoever takes it up again
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
