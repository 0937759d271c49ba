// Which operations are open to guests.
// https://spec.matrix.org/v1.19/client-server-api/#guest-access
#pragma once

#include "homeserver/base/http/router.h"

namespace polder::client_api {

// Whether a guest gets past the door. What they may do there is the policy's to say: into which
// rooms they come, for instance.
bool is_open_to_guests(const http::Route& route);

}  // namespace polder::client_api
