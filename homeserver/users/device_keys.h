// End-to-end encryption as a server sees it: it keeps keys, hands each one-time key out once, and
// carries messages to devices
// (https://spec.matrix.org/v1.19/client-server-api/#end-to-end-encryption).
#pragma once

#include <functional>

#include "homeserver/json/value.h"
#include "homeserver/users/users.h"
#include "storage/stores/key_rows.h"

namespace polder::users {

inline constexpr size_t kOneTimeKeysMax = 500;        // of one device
inline constexpr size_t kToDeviceMessagesMax = 1000;  // of one request
inline constexpr size_t kToDeviceBytesMax = 65536;    // of one message

// Thread-safe. Every change is on disk when it returns.
class DeviceKeys {
 public:
  explicit DeviceKeys(Parts parts)
      : parts_(std::move(parts)), queues_(parts_.runtime.shard_count()) {}

  // keys/upload: {device_keys, one_time_keys, fallback_keys}. Malformed keys are refused whole, and
  // so are keys that say they are of another user or device, and one-time keys whose id is taken by
  // another key (CVE-2025-61672). Gives the counts of one-time keys.
  Task<Result<std::map<std::string, int64_t>>> upload(Session session, json::Object body);
  // keys/query of local users: {device_keys, master_keys, self_signing_keys, user_signing_keys}.
  Task<Result<json::Object>> query(UserId asker,
                                   std::vector<std::pair<UserId, std::vector<std::string>>> wanted);
  // keys/claim of local users: {user: {device: {key id: key}}}.
  Task<Result<json::Object>> claim(std::vector<std::tuple<UserId, DeviceId, std::string>> wanted);
  // keys/device_signing/upload; true if there was a master key before that is another.
  Task<Result<bool>> would_replace_master_key(stores::UserNumber user, json::Object body);
  Task<Status> upload_cross_signing(Session session, json::Object body);
  // keys/signatures/upload: {user: {key or device id: signed object}}; gives the failures.
  Task<Result<json::Object>> upload_signatures(Session session, json::Object body);

  // sendToDevice: {user: {device or "*": content}} to local devices. Gives the users that have
  // news. `with` adds rows that are committed with the messages, also if there are none.
  Task<Result<std::vector<stores::UserNumber>>> send_to_devices(
      UserId sender, std::string type, json::Object messages,
      std::function<void(kv::Batch&)> with = {});
  // Forgets messages that the device has acknowledged. Lazy: a message that comes twice is no harm.
  void acknowledge(stores::UserNumber user, DeviceId device, kv::Position up_to);

 private:
  using Change = std::function<Status(const kv::Snapshot&, kv::Batch&)>;
  // Reads and writes in the user's turn.
  Task<Status> change(stores::UserNumber user, Change change);
  Task<Status> change_on_shard(stores::UserNumber user, Change change);

  Parts parts_;
  std::vector<std::unordered_map<stores::UserNumber, std::unique_ptr<runtime::SerialQueue>>>
      queues_;  // by shard
};

}  // namespace polder::users
