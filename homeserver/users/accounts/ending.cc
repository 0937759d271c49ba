#include "homeserver/users/accounts/ending.h"

#include <algorithm>

#include "storage/stores/users/key_rows.h"

namespace polder::users {

Status end_devices(const kv::Snapshot& snapshot, kv::Batch& batch, stores::UserNumber user,
                   const std::vector<DeviceId>& devices) {
  for (const DeviceId& device : devices) {
    POLDER_TRY(const auto keys, stores::read_device_keys_of(snapshot, user, device));
    stores::erase_device(batch, user, device);
    if (keys) stores::put_device_list_change(batch, batch.reserve_position(), user, device);
  }
  POLDER_TRY(const auto sessions, stores::read_sessions_of(snapshot, user));
  for (const auto& [token, session] : sessions) {
    if (std::ranges::find(devices, session.device) != devices.end())
      stores::erase_session(batch, token, user);
  }
  return {};
}

Status end_all_devices(const kv::Snapshot& snapshot, kv::Batch& batch, stores::UserNumber user,
                       const DeviceId& but) {
  POLDER_TRY(const auto all, stores::read_devices(snapshot, user));
  std::vector<DeviceId> ending;
  for (const auto& [device, row] : all) {
    if (device != but) ending.push_back(device);
  }
  return end_devices(snapshot, batch, user, ending);
}

}  // namespace polder::users
