// Who of this server is in a room.
#pragma once

#include <vector>

#include "homeserver/rooms/model/room_view.h"

namespace polder::rooms {

// Joined users of this server, at most so many: first those whom the power levels name, then
// others.
Result<std::vector<UserId>> local_members(const RoomView& view, const ServerName& own_name,
                                          stores::StateRoot state, size_t max);

}  // namespace polder::rooms
