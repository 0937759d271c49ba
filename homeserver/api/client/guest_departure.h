// Guests leave rooms that no longer let guests in.
// https://spec.matrix.org/v1.19/client-server-api/#guest-access: "If the m.room.guest_access event
// is changed to stop this from being the case, the server MUST set those users' m.room.member state
// to leave."
#pragma once

#include "homeserver/api/client/api.h"

namespace polder::client_api {

class GuestDeparture final : public rooms::Observer {
 public:
  explicit GuestDeparture(const Api& api) : api_(api) {}

  void committed(const rooms::StoredEvent& event, rooms::Verdict verdict,
                 const std::vector<rooms::StateChange>& changes) override;
  // Those whom the end of the program kept from it. At start.
  Task<void> run() const;

 private:
  Task<void> leave_room(stores::RoomNumber room) const;

  const Api& api_;
};

}  // namespace polder::client_api
