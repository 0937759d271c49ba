// Deactivated users leave their rooms, decline their invites and take back their knocks.
#pragma once

#include "homeserver/api/client/api.h"

namespace polder::client_api {

// Of all who may still have to; at start, and after somebody was deactivated. Whoever cannot leave
// somewhere now tries again at the next call.
Task<void> leave_rooms_of_deactivated(const Api& api);

}  // namespace polder::client_api
