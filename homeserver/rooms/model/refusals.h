// Refusals that say the same wherever they are given.
#pragma once

#include "homeserver/base/values/result.h"

namespace polder::rooms {

// The one answer for who acts in a room that they are not in: it does not tell whether the room
// exists, nor whether somebody here is in it.
inline Error not_in_room() {
  return fail(ErrorCode::kForbidden, "You are not in this room");
}

}  // namespace polder::rooms
