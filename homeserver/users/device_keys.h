// End-to-end encryption as a server sees it: it keeps keys, hands each one-time key out once, and
// carries messages to devices
// (https://spec.matrix.org/v1.19/client-server-api/#end-to-end-encryption).
#pragma once

#include <map>
#include <tuple>

#include "homeserver/base/json/value.h"
#include "homeserver/users/users.h"
#include "storage/stores/users/key_rows.h"

namespace polder::users {

inline constexpr size_t kDeviceKeysBytesMax = 16384;     // of one device's keys, with signatures
inline constexpr size_t kUserKeysBytesMax = 512 * 1024;  // of all devices of a user
inline constexpr size_t kOneTimeKeysMax = 500;           // of one device
inline constexpr size_t kOneTimeKeyBytesMax = 4096;      // of one one-time or fallback key
inline constexpr size_t kKeyAlgorithmsMax = 16;   // of one device's one-time keys; fallback keys
inline constexpr size_t kClaimedKeysKept = 1000;  // of one device, that it cannot upload again
inline constexpr size_t kSignedKeysMax = 1000;    // of one upload of signatures
inline constexpr size_t kToDeviceMessagesMax = 1000;  // of one request
inline constexpr size_t kToDeviceBytesMax = 65536;    // of one message

struct DeviceKeysOptions {
  bool names_to_other_servers = true;  // whether they are told how users named their devices
};
using WantedKeys = std::vector<std::pair<UserId, std::vector<std::string>>>;  // no devices: all
using WantedOneTimeKeys = std::vector<std::tuple<UserId, DeviceId, std::string>>;  // algorithm

// What became of an upload of cross-signing keys.
enum class CrossSigning : uint8_t {
  kUnchanged,   // all are there already
  kStored,      // others are told of them
  kUnconfirmed  // nothing is stored: who replaces keys must show again who they are
};
// Why a signed key was not taken: kBadSignature, kNotFound, kInvalid, kTooLarge.
struct RefusedSignature {
  std::string user;
  std::string key;  // or device, as the request names it
  Error error;
};

// What a client sends to devices, once for a transaction id.
struct ToDevice {
  std::string type;
  std::string transaction_id;
  json::Object messages;  // to local devices: {user: {device or "*": content}}
  kv::Batch with;         // rows that are committed with them: what goes to other servers
};

// Thread-safe. Every change is on disk when it returns.
class DeviceKeys {
 public:
  // The users outlive it.
  explicit DeviceKeys(Users& users, DeviceKeysOptions options = {})
      : parts_(users.parts()), options_(options), turns_(users.turns()) {}

  // keys/upload: {device_keys, one_time_keys, fallback_keys}. Malformed keys are refused whole, and
  // so are keys that say they are of another user or device, and one-time keys whose id is taken by
  // another key (CVE-2025-61672). A one-time key that was claimed is not taken again. Gives the
  // counts of one-time keys. kUnauthenticated if the device is gone, here and below.
  Task<Result<std::map<std::string, int64_t>>> upload(Session session, json::Object body);
  // keys/query of local users: {device_keys, master_keys, self_signing_keys, user_signing_keys}.
  // Users of other servers are left out, here and below.
  Task<Result<json::Object>> query(UserId asker, WantedKeys wanted);
  // The same for another server, with no signatures but the users' own
  // (https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysquery).
  Task<Result<json::Object>> query_for_server(WantedKeys wanted);
  // {user_id, stream_id, devices, master_key, self_signing_key}: what another server keeps of a
  // local user. stream_id is the position of the last change. kNotFound for users of other servers
  // (https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1userdevicesuserid).
  Task<Result<json::Object>> devices_for_server(UserId user);
  // What other servers are told when something changed: the contents of m.device_list_update, but
  // for its ids, and of m.signing_key_update. Synchronous; on the pool.
  Result<json::Object> device_update(const UserId& user, stores::UserNumber number,
                                     const DeviceId& device) const;
  Result<json::Object> signing_key_update(const UserId& user, stores::UserNumber number) const;
  // keys/claim of local users: {user: {device: {key id: key}}}.
  Task<Result<json::Object>> claim(WantedOneTimeKeys wanted);
  // keys/device_signing/upload. confirmed: the user showed again who they are, so that keys that
  // are there may be replaced. kInvalid for malformed keys, kMissing without a master key,
  // kBadSignature for keys that it did not sign, kForbidden for keys named like a device.
  Task<Result<CrossSigning>> upload_cross_signing(Session session, json::Object body,
                                                  bool confirmed);
  // keys/signatures/upload: {user: {key or device id: signed object}}. Takes what is right of it.
  Task<Result<std::vector<RefusedSignature>>> upload_signatures(Session session, json::Object body);

  // Puts messages into the inboxes of local devices: {user: {device or "*": content}}. Gives the
  // users that have news. `with` adds rows that are committed with the messages, also if there are
  // none.
  Task<Result<std::vector<stores::UserNumber>>> send_to_devices(
      UserId sender, std::string type, json::Object messages,
      std::function<void(kv::Batch&)> with = {});
  // The same for a local client, in its user's turn. Nothing if the transaction id was used before.
  Task<Result<std::optional<std::vector<stores::UserNumber>>>> send_once(Session session,
                                                                         ToDevice message);

 private:
  using Change = std::function<Status(const kv::Snapshot&, kv::Batch&)>;
  struct Claiming;
  // Reads and writes in the user's turn.
  Task<Status> change(stores::UserNumber user, Change change);
  Task<Status> change_in_turn(Change change);
  // The same for somebody with a session: kUnauthenticated once its device is gone.
  Task<Status> change_of(const Session& session, Change change);

  Task<Result<json::Object>> claim_of(UserId owner, std::map<DeviceId, std::string> all);
  Task<void> claim_waiting(std::shared_ptr<Claiming> claiming);

  Result<std::vector<stores::UserNumber>> add_messages(const kv::Snapshot& snapshot,
                                                       const UserId& sender,
                                                       const std::string& type,
                                                       const json::Object& messages,
                                                       kv::Batch& batch) const;

  Parts parts_;
  const DeviceKeysOptions options_;
  runtime::KeyedQueues& turns_;
};

}  // namespace polder::users
