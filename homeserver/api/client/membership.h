// Users' places in rooms, and what memberships carry of their users.
#pragma once

#include <string>

#include "homeserver/api/client/api.h"
#include "homeserver/protocol/policy/act.h"

namespace polder::client_api {

// Who acts with a token.
policy::Actor actor_of(const users::Session& session);

// What a user is in a room, for who asks: of themselves, whatever it is; of others, if they are in
// the room, else rooms::not_in_room().
Task<Result<stores::Membership>> current_membership(const Api& api, RoomId room, UserId asker,
                                                    UserId user);

// The content of a local or remote user's membership: with the profile of a local one where the
// membership shows it, and the body's reason.
Task<Result<json::Object>> membership_content(const Api& api, UserId user, std::string membership,
                                              json::Object body);

// A membership that the caller sends as a state event, with all of its content.
Task<Result<EventId>> send_membership(const Api& api, Call& call, RoomId room, UserId target);

}  // namespace polder::client_api
