// Notes which local users enter which rooms, so that servers there are told of their devices.
// https://spec.matrix.org/v1.19/server-server-api/#device-management
#pragma once

#include "federation/devices/parts.h"
#include "homeserver/rooms/model/ports.h"

namespace polder::devices {

class RoomEntries final : public rooms::Contributor {
 public:
  explicit RoomEntries(const Parts& parts) : parts_(parts) {}  // which outlive it

  Status contribute(const rooms::StoredEvent& event, const std::vector<rooms::StateChange>& changes,
                    kv::Batch& batch) override;

 private:
  bool enters(const rooms::StateChange& change) const;

  const Parts& parts_;
};

}  // namespace polder::devices
