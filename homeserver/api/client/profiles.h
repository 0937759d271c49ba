// Profiles of local users, and the rooms that show them.
#pragma once

#include "homeserver/api/client/api.h"

namespace polder::client_api {

// What changes of a profile; an empty text takes a field away.
struct ProfileChange {
  std::optional<std::string> displayname;
  std::optional<std::string> avatar_url;
};
// Sets it, and sends it to the rooms that the user is in. One change of a user after the other, so
// that rooms keep the last.
Task<Status> change_profile(const Api& api, users::Session session, ProfileChange change);
// Of a user who has just entered a room with this membership event's content: the profile may have
// changed while they did.
Task<Status> renew_profile(const Api& api, users::Session session, RoomId room,
                           json::Object entered_with);

}  // namespace polder::client_api
