// Who shares rooms with whom, by current memberships. Synchronous; on the pool.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"
#include "storage/stores/federation/remote_device_rows.h"
#include "storage/stores/users/key_rows.h"

namespace polder::devices {

// Whether a server has members in one of the user's rooms.
Result<bool> shares_room_with(const kv::Snapshot& snapshot, stores::UserNumber user,
                              stores::ServerNumber server);
// Whether it does since the user entered this one, and did in none before.
Result<bool> met_by_entering(const kv::Snapshot& snapshot, const stores::RoomEntry& entry,
                             stores::ServerNumber server);
// All servers that the user met so.
Result<std::set<ServerName>> servers_met(const kv::Snapshot& snapshot, const stores::Names& names,
                                         const stores::RoomEntry& entry);
// All servers with members in the user's rooms.
Result<std::set<ServerName>> servers_of(const kv::Snapshot& snapshot, const stores::Names& names,
                                        stores::UserNumber user);
// A room in which both users are.
Result<std::optional<stores::RoomNumber>> room_of_both(const kv::Snapshot& snapshot,
                                                       stores::UserNumber a, stores::UserNumber b);
// Whether the user's server has told of every change since the list was asked for: both users
// named in it are still in the room, and have not left it since.
Result<bool> is_current(const kv::Snapshot& snapshot, stores::UserNumber user,
                        const stores::RemoteDeviceList& list);

}  // namespace polder::devices
