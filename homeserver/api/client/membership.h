// Users' places in rooms, and what memberships carry of their users.
#pragma once

#include <string>

#include "homeserver/api/client/api.h"

namespace polder::client_api {

// kNotFound if the room is not known here.
Task<Result<stores::Membership>> current_membership(const Api& api, RoomId room, UserId user);

// The content of a local or remote user's membership: with the profile of a local one where the
// membership shows it, and the body's reason.
Task<Result<json::Object>> membership_content(const Api& api, UserId user, std::string membership,
                                              json::Object body);

// A membership that the caller sends as a state event, with all of its content.
Task<Result<EventId>> send_membership(const Api& api, Call& call, RoomId room, UserId target);

}  // namespace polder::client_api
