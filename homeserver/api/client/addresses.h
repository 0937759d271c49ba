// From what a client names a room by to the room and the servers that may be in it.
#pragma once

#include <string>
#include <vector>

#include "homeserver/api/client/api.h"

namespace polder::client_api {

struct RoomAddress {
  RoomId room;
  std::vector<ServerName> servers;
};

// A room id as it is; an alias by this server's directory, or by that of its server. kNotFound.
Task<Result<RoomAddress>> resolve(const Api& api, std::string room_or_alias);
// The same with the servers of the query's `via` and `server_name` before the others.
Task<Result<RoomAddress>> resolve_with_query(const Api& api, const Call& call, std::string named);

// What the content of an m.room.canonical_alias names, as clients send it: kInvalid if an alias has
// not the form of one.
Result<std::vector<std::string>> aliases_named_in(const json::Object& content);

}  // namespace polder::client_api
