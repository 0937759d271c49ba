// A stored state, as the authorisation rules read it.
#pragma once

#include <utility>
#include <vector>

#include "homeserver/dag/authorise.h"
#include "homeserver/rooms/room.h"

namespace polder::rooms {

// Borrows the view. One thread at a time.
class RoomState final : public dag::AuthState {
 public:
  RoomState(const RoomView& view, stores::StateRoot root) : view_(view), root_(root) {}

  Result<const events::Event*> find(events::StateKeyView key) const override {
    POLDER_TRY(auto event, view_.state_event(root_, key.type, key.key));
    if (!event) return static_cast<const events::Event*>(nullptr);
    kept_.push_back(std::move(event));
    return kept_.back().get();
  }

 private:
  const RoomView& view_;
  stores::StateRoot root_;
  mutable std::vector<events::EventPtr> kept_;
};

}  // namespace polder::rooms
