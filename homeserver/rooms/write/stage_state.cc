// States that come as a whole, from another server.
#include "homeserver/rooms/write/stage.h"

namespace polder::rooms {

void stage_nodes(Room& room, const stores::StateUpdate& update, Staged& staged) {
  stores::put_state_nodes(staged.batch, room.number, update);
  for (const stores::WrittenNode& written : update.new_nodes) {
    room.pending_nodes.emplace(written.number, written.node);
    staged.nodes.push_back(written.number);
  }
}

Result<std::pair<stores::StateRoot, Staged>> stage_state(const StageContext& context, Room& room,
                                                         const kv::Snapshot& snapshot,
                                                         stores::StateRoot onto,
                                                         std::span<const EventId> state) {
  const RoomView view(room, snapshot, context.names, context.caches);
  Staged staged;
  std::vector<stores::StateEdit> edits;
  for (const EventId& id : state) {
    POLDER_TRY(const auto number, view.find(id));
    if (!number) continue;
    POLDER_TRY(const HeldEvent held, view.load(*number));
    if (!held.event->is_state() || held.record.standing.rejected) continue;
    POLDER_TRY(const uint64_t type,
               context.names.intern(stores::NameKind::kType, held.event->type(), staged.batch,
                                    staged.names));
    POLDER_TRY(const uint64_t key,
               context.names.intern(stores::NameKind::kStateKey, *held.event->state_key(),
                                    staged.batch, staged.names));
    edits.push_back({{static_cast<uint32_t>(type), key}, *number});
  }
  POLDER_TRY(const auto update,
             stores::state_apply(view.nodes(), onto, std::move(edits), room.record.last_node));
  room.record.last_node = update.last_node;
  stage_nodes(room, update, staged);
  stores::put_room(staged.batch, room.number, room.record);
  return std::pair(update.root, std::move(staged));
}

}  // namespace polder::rooms
