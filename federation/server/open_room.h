// Where every request about a room begins: the room as it can be read now, and whether the server
// that asks may take part in it.
#pragma once

#include <memory>

#include "federation/server/api.h"
#include "homeserver/rooms/read/federation_reader.h"

namespace polder::federation_server {

struct OpenRoom {
  OpenRoom(const rooms::RoomSource& rooms, rooms::RoomHeadPtr head, const ServerName& server)
      : reader(rooms, std::move(head)), federation(reader, server) {}
  OpenRoom(const OpenRoom&) = delete;
  OpenRoom& operator=(const OpenRoom&) = delete;

  const rooms::RoomHead& head() const { return reader.head(); }

  rooms::RoomReader reader;
  rooms::FederationReader federation;  // for the server that asks
};

// kNotFound if this server does not know the room, kForbidden if the room's ACL denies the server.
// Synchronous; on the pool.
Result<std::unique_ptr<OpenRoom>> open_room(Api& api, const RoomId& room, const ServerName& server);
// The same for requests to take part: kNotFound also if this server is not in the room itself.
Result<std::unique_ptr<OpenRoom>> open_own_room(Api& api, const RoomId& room,
                                                const ServerName& server);

// Runs on the pool with the room that the path's {roomId} names, for a server that is in it. Other
// servers are refused alike whether the room is known here or not.
using Reading = Result<http::Response> (*)(Api&, OpenRoom&, const Call&);
Task<Result<http::Response>> read_room(Api& api, Call& call, Reading read);
// The same as a handler of a table.
template <Reading read>
Task<Result<http::Response>> reading(Api& api, Call& call) {
  return read_room(api, call, read);
}

}  // namespace polder::federation_server
