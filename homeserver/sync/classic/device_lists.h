// Whose devices a user's clients have to look up again, and whose they may forget.
// https://spec.matrix.org/v1.19/client-server-api/#tracking-the-device-list-for-a-user
#pragma once

#include <span>

#include "homeserver/base/json/value.h"
#include "homeserver/rooms/model/source.h"

namespace polder::sync {

struct DeviceLists {
  json::Array changed;  // user ids: their devices changed, or they began to share a room
  json::Array left;     // user ids: no room is shared any more
};

// Borrows the user's rooms, as stores::read_rooms_of() gives them.
struct DeviceListReader {
  stores::UserNumber user = 0;
  std::span<const std::pair<stores::RoomNumber, stores::MembershipRow>> rooms;
};
// What changed for the user with from < position <= to. Synchronous; on the pool.
Result<DeviceLists> device_list_changes(const rooms::RoomSource& rooms,
                                        const std::shared_ptr<const kv::Snapshot>& snapshot,
                                        DeviceListReader reader, kv::Position from,
                                        kv::Position to);
// The same, with the user's rooms as the snapshot has them.
Result<DeviceLists> device_list_changes(const rooms::RoomSource& rooms,
                                        const std::shared_ptr<const kv::Snapshot>& snapshot,
                                        stores::UserNumber user, kv::Position from,
                                        kv::Position to);

}  // namespace polder::sync
