// The devices of another server's user, as a value: what their server told, once it has the right
// shape. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "federation/client/client.h"
#include "homeserver/base/json/value.h"
#include "homeserver/base/values/ids.h"

namespace polder::devices {

inline constexpr size_t kDevicesMax = 1000;          // of one user
inline constexpr size_t kListBytesMax = 4u << 20;    // of one user's list
inline constexpr size_t kDeviceNameBytesMax = 1000;  // longer names are left out

// An m.device_list_update whose shape is right; whose user it is was not yet looked at.
struct DeviceUpdate {
  UserId user;
  DeviceId device;
  int64_t stream_id = 0;
  std::vector<int64_t> prev_ids;
  std::optional<json::Object> keys;  // none: the device has none, or is gone
  bool deleted = false;
  std::string name;
};
Result<DeviceUpdate> read_device_update(const json::Object& content);

// An m.signing_key_update; keys of a wrong shape make it wrong.
struct SigningKeyUpdate {
  UserId user;
  std::optional<json::Object> master_key;
  std::optional<json::Object> self_signing_key;
};
Result<SigningKeyUpdate> read_signing_key_update(const json::Object& content);

class KnownList {
 public:
  KnownList() = default;
  // Devices and keys of a wrong shape are left out.
  KnownList(const UserId& user, const client::RemoteDevices& told);

  static Result<KnownList> from_json(std::string_view text);
  // kTooLarge.
  Result<std::string> to_json() const;

  void apply(const DeviceUpdate& update);
  void apply(const SigningKeyUpdate& update);

  // As in the answer to a query of keys: {device: keys}, all or those that are asked for.
  json::Object device_keys(const std::vector<std::string>& only) const;
  const json::Object* master_key() const { return list_.find_object("master_key"); }
  const json::Object* self_signing_key() const { return list_.find_object("self_signing_key"); }

 private:
  void set_device(const DeviceId& device, const json::Object& keys, const std::string& name);

  json::Object list_{{"devices", json::Object()}};
};

// The keys of one device from an answer to a query, if they have the right shape: with no other
// `unsigned` than the device's name.
std::optional<json::Object> checked_device_keys(const UserId& user, const std::string& device,
                                                const json::Value& keys);

}  // namespace polder::devices
