#include "homeserver/server/offline.h"

namespace polder::server {
namespace {

Error offline() {
  return fail(ErrorCode::kUnavailable, "federation is off");
}

}  // namespace

Task<Result<crypto::VerifyKey>> OfflineKeys::key(ServerName, KeyId, int64_t) {
  co_return offline();
}
Task<Result<std::string>> OfflineServers::event(ServerName, EventId) {
  co_return offline();
}
Task<Result<rooms::RemoteStateIds>> OfflineServers::state_ids(ServerName, RoomId, EventId) {
  co_return offline();
}
Task<Result<rooms::RemoteState>> OfflineServers::state(ServerName, RoomId, EventId) {
  co_return offline();
}
Task<Result<std::vector<std::string>>> OfflineServers::missing_events(ServerName, RoomId,
                                                                      std::vector<EventId>,
                                                                      std::vector<EventId>,
                                                                      size_t) {
  co_return offline();
}
Task<Result<std::vector<std::string>>> OfflineServers::backfill(ServerName, RoomId,
                                                                std::vector<EventId>, size_t) {
  co_return offline();
}

}  // namespace polder::server
