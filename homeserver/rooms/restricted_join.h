// Joins that another room's membership allows.
// https://spec.matrix.org/v1.19/server-server-api/#restricted-rooms
#pragma once

#include <optional>

#include "homeserver/rooms/reader.h"

namespace polder::rooms {

enum class RestrictedJoin : uint8_t {
  kNotNeeded,       // the room is not restricted, or the user is invited or joined already
  kAuthorised,      // a condition is met, and a user of this server may vouch for it
  kCannotGrant,     // a condition is met, but no user of this server may invite
  kCannotTell,      // no condition is met here, and there is one that this server cannot check
  kConditionFails,  // none is met
};
struct RestrictedOutcome {
  RestrictedJoin outcome = RestrictedJoin::kNotNeeded;
  std::optional<UserId> authoriser;  // for join_authorised_via_users_server
};

// Whether the user may join the room, and who of this server says so, by the current states.
// Synchronous; on the pool.
Result<RestrictedOutcome> restricted_join(const RoomEngine& engine, const RoomReader& room,
                                          const UserId& user);

// Whether a user of this server may vouch for joins: is joined, and has the level to invite.
Result<bool> may_vouch(const RoomReader& room, const UserId& user);

}  // namespace polder::rooms
