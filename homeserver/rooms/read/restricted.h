// Joins of restricted rooms: whether a user meets a condition, and who of this server can say so.
// https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms
#pragma once

#include <optional>

#include "homeserver/rooms/read/reader.h"

namespace polder::rooms {

enum class RestrictedJoin : uint8_t {
  kNotNeeded,     // the room is not restricted, or the user is invited or joined
  kGranted,       // the user meets a condition and a local user can authorise it
  kNoAuthoriser,  // the user meets a condition, but nobody of this server may invite
  kUnknown,  // no condition that this server can check holds, and there are some that it cannot
  kRefused,  // the user meets no condition
};

struct RestrictedAnswer {
  RestrictedJoin join = RestrictedJoin::kNotNeeded;
  std::optional<UserId> authoriser;  // if granted: for join_authorised_via_users_server
};

// By the room's current state, and that of the rooms that its conditions name. Synchronous; on the
// pool.
Result<RestrictedAnswer> restricted_join(const RoomSource& rooms, const RoomReader& room,
                                         const UserId& user);

}  // namespace polder::rooms
