#include "homeserver/dag/resolved_state.h"

namespace polder::dag {

Status ResolvedState::set(EventNumber number) {
  POLDER_TRY(const events::Event* event, cache_.event(number));
  if (!event->is_state()) return fail(ErrorCode::kCorrupt, "a state has an event without key");
  events_[{event->type(), *event->state_key()}] = number;
  return {};
}

Result<std::optional<EventNumber>> ResolvedState::find(events::StateKeyView key) const {
  if (auto number = find_set(key)) return number;
  if (!base_) return std::optional<EventNumber>();
  return base_->find(key);
}

std::optional<EventNumber> ResolvedState::find_set(events::StateKeyView key) const {
  auto position = events_.find(key);
  if (position == events_.end()) return std::nullopt;
  return position->second;
}

}  // namespace polder::dag
