// Notes which local users enter which rooms, so that servers there are told of their devices.
// https://spec.matrix.org/v1.19/server-server-api/#device-management
#pragma once

#include "federation/devices/list_updates.h"
#include "homeserver/rooms/ports.h"

namespace polder::devices {

class RoomEntries final : public rooms::Contributor, public rooms::Observer {
 public:
  // Both outlive it.
  RoomEntries(const Parts& parts, ListUpdates& updates) : parts_(parts), updates_(updates) {}

  Status contribute(const rooms::StoredEvent& event, const std::vector<rooms::StateChange>& changes,
                    kv::Batch& batch) override;
  void committed(const rooms::StoredEvent& event, rooms::Verdict verdict,
                 const std::vector<rooms::StateChange>& changes) override;

 private:
  bool enters(const rooms::StateChange& change) const;

  const Parts& parts_;
  ListUpdates& updates_;
};

}  // namespace polder::devices
