// Names that an application service has for itself: nobody else makes a user or an alias of one.
// https://spec.matrix.org/v1.19/application-service-api/#registration
#pragma once

#include <string>

#include "homeserver/api/client/api.h"

namespace polder::client_api {

// M_EXCLUSIVE if an application service claims the name. What is no name of a user is free.
Status check_user_not_claimed(const Api& api, const std::string& localpart);
Status check_alias_not_claimed(const Api& api, const RoomAlias& alias);

}  // namespace polder::client_api
