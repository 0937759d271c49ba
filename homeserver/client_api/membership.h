// What memberships carry of their users.
#pragma once

#include <string>

#include "homeserver/client_api/api.h"

namespace polder::client_api {

// The content of a local or remote user's membership: with the profile of a local one where the
// membership shows it, and the body's reason.
Task<Result<json::Object>> membership_content(const Api& api, UserId user, std::string membership,
                                              json::Object body);

}  // namespace polder::client_api
