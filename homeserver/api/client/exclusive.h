// Names that an application service has for itself: nobody else makes a user or an alias of one.
// https://spec.matrix.org/v1.19/application-service-api/#registration
#pragma once

#include <string>

#include "homeserver/api/client/api.h"

namespace polder::client_api {

// M_EXCLUSIVE if an application service claims the name. What is no name of a user is free.
Status check_user_not_claimed(const Api& api, const std::string& localpart);
// The name for a new user: the wanted one, or one that is made up if none is. M_EXCLUSIVE if it is
// claimed, or all that were made up are.
Result<std::string> new_localpart(const Api& api, std::string wanted);
Status check_alias_not_claimed(const Api& api, const RoomAlias& alias);

}  // namespace polder::client_api
