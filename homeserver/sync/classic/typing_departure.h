// Who leaves a room, or is banned from it, types there no more, whatever they said before.
// https://spec.matrix.org/v1.19/client-server-api/#typing-notifications
#pragma once

#include "homeserver/rooms/model/ports.h"
#include "homeserver/users/data/receipts.h"

namespace polder::sync {

// Told of commits on the rooms' shards. Typing outlives it.
class TypingDeparture final : public rooms::Observer {
 public:
  explicit TypingDeparture(users::Typing& typing) : typing_(typing) {}

  void committed(const rooms::StoredEvent& event, rooms::Verdict verdict,
                 const std::vector<rooms::StateChange>& changes) override;

 private:
  users::Typing& typing_;
};

}  // namespace polder::sync
