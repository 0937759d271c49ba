// The other servers of a server that talks to none: federation is off.
#pragma once

#include "homeserver/rooms/ports.h"

namespace polder::server {

class OfflineKeys final : public rooms::KeySource {
 public:
  Task<Result<crypto::VerifyKey>> key(ServerName, KeyId, int64_t) override;
};

class OfflineServers final : public rooms::RemoteServers {
 public:
  Task<Result<std::string>> event(ServerName, EventId) override;
  Task<Result<rooms::RemoteStateIds>> state_ids(ServerName, RoomId, EventId) override;
  Task<Result<rooms::RemoteState>> state(ServerName, RoomId, EventId) override;
  Task<Result<std::vector<std::string>>> missing_events(ServerName, RoomId, std::vector<EventId>,
                                                        std::vector<EventId>, size_t) override;
  Task<Result<std::vector<std::string>>> backfill(ServerName, RoomId, std::vector<EventId>,
                                                  size_t) override;
};

}  // namespace polder::server
