#include "homeserver/rooms/relations.h"

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

Result<bool> redaction_applies(const RoomView& view, const HeldEvent& redaction,
                               const events::Event& target) {
  if (target.is_state("m.room.create", "")) return false;
  const UserId& sender = redaction.event->sender();
  if (target.sender().server() == sender.server()) return true;
  POLDER_TRY(const auto create,
             view.state_event(redaction.record.state_before, "m.room.create", ""));
  POLDER_TRY(const auto levels,
             view.state_event(redaction.record.state_before, "m.room.power_levels", ""));
  if (!create) return false;
  const dag::PowerLevels power(*create, levels.get());
  return power.user(sender.view()) >= power.redact();
}

}  // namespace polder::rooms
