#include "homeserver/rooms/write/relations.h"

#include "homeserver/protocol/dag/power_levels.h"

namespace polder::rooms {

std::optional<RelatesTo> relation_of(const events::Event& event) {
  const json::Object* relates_to = event.content().find_object("m.relates_to");
  if (relates_to == nullptr || event.is_state()) return std::nullopt;
  const std::string* rel_type = relates_to->find_string("rel_type");
  const std::string* parent = relates_to->find_string("event_id");
  if (rel_type == nullptr || parent == nullptr) return std::nullopt;
  auto parsed = EventId::parse(*parent);
  if (!parsed.ok()) return std::nullopt;
  return RelatesTo{*std::move(parsed), *rel_type};
}

namespace {

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

Status apply_waiting_redactions(kv::Batch& batch, const Room& room, const RoomView& view,
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
    return {};
  }
  return {};
}

}  // namespace polder::rooms
