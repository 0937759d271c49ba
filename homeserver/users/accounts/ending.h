// The end of devices, and with them of their sessions. Synchronous; in the user's turn.
#pragma once

#include <vector>

#include "storage/stores/users/user_rows.h"

namespace polder::users {

// Their sessions, keys and messages go, and who shares a room with the user is told.
Status end_devices(const kv::Snapshot& snapshot, kv::Batch& batch, stores::UserNumber user,
                   const std::vector<DeviceId>& devices);
// Of all devices but one; of all, if that is empty.
Status end_all_devices(const kv::Snapshot& snapshot, kv::Batch& batch, stores::UserNumber user,
                       const DeviceId& but);

}  // namespace polder::users
