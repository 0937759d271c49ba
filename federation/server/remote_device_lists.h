// What this server keeps of the devices and keys of other servers' users, as the endpoints see it.
#pragma once

#include "homeserver/base/json/value.h"
#include "homeserver/base/runtime/task.h"
#include "homeserver/base/values/ids.h"

namespace polder::federation_server {

// Implemented by whoever keeps those lists. Called on any shard; for each origin one call after the
// other. The content's `user_id` is a user of the origin; nothing else of it was checked.
class RemoteDeviceLists {
 public:
  virtual ~RemoteDeviceLists() = default;
  // https://spec.matrix.org/v1.19/server-server-api/#definition-mdevice_list_update
  virtual Task<void> device_list_update(ServerName origin, json::Object content) = 0;
  // https://spec.matrix.org/v1.19/server-server-api/#definition-msigning_key_update
  virtual Task<void> signing_key_update(ServerName origin, json::Object content) = 0;
};

}  // namespace polder::federation_server
