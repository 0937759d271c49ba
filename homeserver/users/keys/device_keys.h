// End-to-end encryption as a server sees it: it keeps keys, and hands each one-time key out once
// (https://spec.matrix.org/v1.19/client-server-api/#end-to-end-encryption).
#pragma once

#include <map>
#include <tuple>

#include "homeserver/base/json/value.h"
#include "homeserver/users/accounts/accounts.h"
#include "storage/stores/users/key_rows.h"

namespace polder::users {

inline constexpr size_t kDeviceKeysBytesMax = 16384;     // of one device's keys, with signatures
inline constexpr size_t kUserKeysBytesMax = 512 * 1024;  // of all devices of a user
inline constexpr size_t kOneTimeKeysMax = 500;           // of one device
inline constexpr size_t kOneTimeKeyBytesMax = 4096;      // of one one-time or fallback key
inline constexpr size_t kKeyAlgorithmsMax = 16;   // of one device's one-time keys; fallback keys
inline constexpr size_t kClaimedKeysKept = 1000;  // of one device, that it cannot upload again
inline constexpr size_t kSignedKeysMax = 1000;    // of one upload of signatures

struct DeviceKeysOptions {
  bool names_to_other_servers = true;  // whether those get the names of users' devices
};
using WantedKeys = std::vector<std::pair<UserId, std::vector<std::string>>>;  // no devices: all
using WantedOneTimeKeys = std::vector<std::tuple<UserId, DeviceId, std::string>>;  // algorithm

// What became of an upload of cross-signing keys.
enum class CrossSigning : uint8_t {
  kUnchanged,   // all are there already
  kStored,      // others learn of them
  kUnconfirmed  // nothing is stored: who replaces keys must show again who they are
};
// Why a signed key was not taken: kBadSignature, kNotFound, kInvalid, kTooLarge.
struct RefusedSignature {
  std::string user;
  std::string key;  // or device, as the request names it
  Error error;
};

// Thread-safe. Every change is on disk when it returns.
class DeviceKeys {
 public:
  // The accounts outlive it.
  explicit DeviceKeys(Accounts& accounts, DeviceKeysOptions options = {})
      : parts_(accounts.parts()), options_(options), turns_(accounts.turns()) {}

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
  // What other servers get when something changed: the contents of m.device_list_update, but
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

 private:
  struct Claiming;
  Task<Result<json::Object>> claim_of(UserId owner, std::map<DeviceId, std::string> all);
  Task<void> claim_waiting(std::shared_ptr<Claiming> claiming);

  Parts parts_;
  const DeviceKeysOptions options_;
  UserTurns& turns_;
};

}  // namespace polder::users
