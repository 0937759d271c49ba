// A stored state, as the authorisation rules read it.
#pragma once

#include <utility>
#include <vector>

#include "homeserver/protocol/dag/authorise.h"
#include "homeserver/rooms/model/room_view.h"

namespace polder::rooms {

// Borrows the view. One thread at a time.
class RoomState final : public dag::AuthState {
 public:
  RoomState(const RoomView& view, stores::StateRoot root) : view_(view), root_(root) {}
  // Of a state that is known in part, for an event: what the part lacks is what the event says it
  // is, by its auth events, unless they were rejected.
  RoomState(const RoomView& view, stores::StateRoot root,
            const std::vector<EventNumber>& auth_events)
      : view_(view), root_(root), auth_events_(auth_events) {}

  Result<const events::Event*> find(events::StateKeyView key) const override {
    POLDER_TRY(auto event, view_.state_event(root_, key.type, key.key));
    if (!event) return find_in_auth_events(key);
    kept_.push_back(std::move(event));
    return kept_.back().get();
  }

 private:
  Result<const events::Event*> find_in_auth_events(events::StateKeyView key) const {
    for (const EventNumber number : auth_events_) {
      POLDER_TRY(HeldEvent held, view_.load(number));
      if (held.record.standing.rejected || !held.event->is_state(key.type, key.key)) continue;
      kept_.push_back(std::move(held.event));
      return kept_.back().get();
    }
    return static_cast<const events::Event*>(nullptr);
  }

  const RoomView& view_;
  stores::StateRoot root_;
  std::vector<EventNumber> auth_events_;
  mutable std::vector<events::EventPtr> kept_;
};

}  // namespace polder::rooms
