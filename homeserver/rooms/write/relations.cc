#include "homeserver/rooms/write/relations.h"

#include "homeserver/protocol/dag/power_levels.h"

namespace polder::rooms {

namespace {

// The thread gets on, unless a deeper reply is there: what is backfilled is older.
Status write_thread(const Room& room, const kv::Snapshot& snapshot, const EventId& root,
                    int64_t depth, kv::PositionSlot slot, kv::Batch& batch) {
  POLDER_TRY(const auto latest, stores::read_thread(snapshot, room.number, root));
  if (latest && latest->depth > depth) return {};
  for (const auto& [number, held] : room.pending) {
    if (held.record.depth <= depth) continue;
    const auto other = relation_of(*held.event);
    if (other && other->rel_type == "m.thread" && other->parent == root) return {};
  }
  stores::put_thread(batch, room.number, root, depth, slot);
  return {};
}

Result<bool> may_redact_others(const RoomView& view, const HeldEvent& redaction) {
  POLDER_TRY(const auto create,
             view.state_event(redaction.record.state_before, "m.room.create", ""));
  POLDER_TRY(const auto levels,
             view.state_event(redaction.record.state_before, "m.room.power_levels", ""));
  if (!create) return false;
  const dag::PowerLevels power(*create, levels.get());
  return power.user(redaction.event->sender().view()) >= power.redact();
}

}  // namespace

Status write_relation(stores::Names& names, const Room& room, const kv::Snapshot& snapshot,
                      const HeldEvent& held, kv::PositionSlot slot, Staged& staged) {
  const events::Event& event = *held.event;
  const auto relates_to = relation_of(event);
  if (!relates_to) return {};
  stores::Relation relation;
  relation.place.depth = held.record.depth;
  relation.child = staged.stored.place.number;
  POLDER_TRY(relation.sender, names.intern(stores::NameKind::kUser, event.sender().view(),
                                           staged.batch, staged.names));
  relation.rel_type = relates_to->rel_type;
  relation.type = event.type();
  stores::put_relation(staged.batch, room.number, relates_to->parent, relation, slot);
  if (relates_to->rel_type != "m.thread") return {};
  return write_thread(room, snapshot, relates_to->parent, held.record.depth, slot, staged.batch);
}

Result<bool> redaction_applies(const RoomView& view, const HeldEvent& redaction,
                               const events::Event& target) {
  if (target.is_state("m.room.create", "")) return false;
  if (target.sender().server() == redaction.event->sender().server()) return true;
  return may_redact_others(view, redaction);
}

Result<EventNumber> write_redaction(kv::Batch& batch, const RoomView& view,
                                    stores::EventPlace place, const HeldEvent& redaction) {
  const auto target_id = redaction.event->redacts();
  if (!target_id) return EventNumber{0};
  POLDER_TRY(const auto target, view.find(*target_id));
  if (!target) {
    POLDER_TRY(const bool others, may_redact_others(view, redaction));
    const std::string_view of = others ? std::string_view() : redaction.event->sender().server();
    stores::put_waiting_redaction(batch, place.room, *target_id, of, place.number);
    return EventNumber{0};
  }
  POLDER_TRY(const HeldEvent held, view.load(*target));
  POLDER_TRY(const bool applies, redaction_applies(view, redaction, *held.event));
  if (!applies) return EventNumber{0};
  stores::put_redaction(batch, {place.room, *target}, place.number);
  return *target;
}

Result<bool> apply_waiting_redactions(kv::Batch& batch, const Room& room, const RoomView& view,
                                      stores::EventPlace place, const events::Event& target) {
  POLDER_TRY(auto waiting,
             stores::read_waiting_redactions(view.snapshot(), place.room, target.id()));
  for (const auto& [number, held] : room.pending) {
    const stores::Standing& standing = held.record.standing;
    const bool accepted = !standing.outlier && !standing.rejected && !standing.soft_failed;
    if (accepted && held.event->redacts() == target.id()) waiting.push_back(number);
  }
  for (const EventNumber number : waiting) {
    POLDER_TRY(const HeldEvent redaction, view.load(number));
    POLDER_TRY(const bool applies, redaction_applies(view, redaction, target));
    if (!applies) continue;
    stores::put_redaction(batch, place, number);
    return true;
  }
  return false;
}

}  // namespace polder::rooms
