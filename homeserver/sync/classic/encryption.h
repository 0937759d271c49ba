// What /sync tells of end-to-end encryption: messages to the device, device lists, key counts.
// https://spec.matrix.org/v1.19/client-server-api/#extensions-to-sync
#pragma once

#include "homeserver/base/json/write.h"
#include "homeserver/sync/classic/sync.h"
#include "homeserver/sync/classic/tokens.h"

namespace polder::sync {

// Writes the members to_device, device_lists (for incremental answers), device_one_time_keys_count
// and device_unused_fallback_key_types, for what lies between the tokens. Sets to.to_device to what
// was given. True if there is news that a waiting client has to be told. Synchronous; on the pool.
Result<bool> write_encryption(json::Writer& writer, const rooms::RoomEngine& engine,
                              const std::shared_ptr<const kv::Snapshot>& snapshot,
                              const SyncRequest& request, const std::optional<StreamToken>& since,
                              StreamToken& to);

}  // namespace polder::sync
