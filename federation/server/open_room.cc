#include "federation/server/open_room.h"

#include "federation/server/acls.h"

namespace polder::federation_server {

Result<std::unique_ptr<OpenRoom>> open_room(Api& api, const RoomId& room,
                                            const ServerName& server) {
  POLDER_TRY(auto head, api.rooms().head(room));
  if (!head || head->record.extremities.empty()) return fail(ErrorCode::kNotFound, "Unknown room");
  auto opened = std::make_unique<OpenRoom>(api.rooms(), std::move(head), server);
  POLDER_TRY(const bool allowed, api.acls->allows(opened->reader, server));
  if (!allowed) return fail(ErrorCode::kForbidden, "Your server is banned from this room");
  return opened;
}

Result<std::unique_ptr<OpenRoom>> open_own_room(Api& api, const RoomId& room,
                                                const ServerName& server) {
  POLDER_TRY(auto opened, open_room(api, room, server));
  if (!opened->head().record.local_joined) return fail(ErrorCode::kNotFound, "Unknown room");
  return opened;
}

Task<Result<http::Response>> read_room(Api& api, Call& call, Reading read) {
  return runtime::on_pool(api.runtime(), [&api, &call, read]() -> Result<http::Response> {
    POLDER_TRY(const RoomId room, room_of(call));
    const Error outside = fail(ErrorCode::kForbidden, "Your server is not in this room");
    auto opened = open_room(api, room, call.origin());
    if (!opened.ok() && opened.error().code == ErrorCode::kNotFound) return outside;
    if (!opened.ok()) return std::move(opened).error();
    POLDER_TRY(const bool inside, (*opened)->federation.in_room());
    if (!inside) return outside;
    return read(api, **opened, call);
  });
}

}  // namespace polder::federation_server
