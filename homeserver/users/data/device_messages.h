// Messages to devices: from whoever sends them into the inboxes of local devices
// (https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "homeserver/base/json/value.h"
#include "homeserver/users/accounts/accounts.h"

namespace polder::users {

inline constexpr size_t kToDeviceMessagesMax = 1000;  // of one request
inline constexpr size_t kToDeviceBytesMax = 65536;    // of one message

// What a client sends to devices, once for a transaction id.
struct ToDevice {
  std::string type;
  std::string transaction_id;
  json::Object messages;  // to local devices: {user: {device or "*": content}}
  kv::Batch with;         // rows that are committed with them: what goes to other servers
};

// Thread-safe. Every change is on disk when it returns.
class DeviceMessages {
 public:
  // The accounts outlive it.
  explicit DeviceMessages(Accounts& accounts)
      : parts_(accounts.parts()), turns_(accounts.turns()) {}

  // Puts messages into the inboxes of local devices: {user: {device or "*": content}}. Gives the
  // users that have news. `with` adds rows that are committed with the messages, also if there are
  // none.
  Task<Result<std::vector<stores::UserNumber>>> send(UserId sender, std::string type,
                                                     json::Object messages,
                                                     std::function<void(kv::Batch&)> with = {});
  // The same for a local client, in its user's turn. Nothing if the transaction id was used before.
  Task<Result<std::optional<std::vector<stores::UserNumber>>>> send_once(Session session,
                                                                         ToDevice message);

 private:
  Result<std::vector<stores::UserNumber>> add_messages(const kv::Snapshot& snapshot,
                                                       const UserId& sender,
                                                       const std::string& type,
                                                       const json::Object& messages,
                                                       kv::Batch& batch) const;

  const Parts parts_;
  UserTurns& turns_;
};

}  // namespace polder::users
