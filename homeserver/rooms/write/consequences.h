// What the rules of a room permit its users, and what would leave the room or this server worse off
// than any of them could mean. Private to this module.
#pragma once

#include "homeserver/rooms/model/room_view.h"
#include "homeserver/rooms/turns/room.h"
#include "homeserver/rooms/write/local_event.h"

namespace polder::rooms {

// kInvalid for an ACL that shuts this server out.
Status check_acl(const LocalEvent& event, const ServerName& own);
// An ACL that shuts this server out, or everybody, and an invite that nobody can follow: kInvalid
// or kForbidden. In the room's turn, on the pool.
Status check_consequences(const Room& room, RoomView& view, const LocalEvent& event,
                          const ServerName& own);

}  // namespace polder::rooms
