// What clients ask of end-to-end encryption, wherever the devices are: local ones are the users
// module's, the others are asked of their servers.
// https://spec.matrix.org/v1.19/client-server-api/#end-to-end-encryption
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "federation/devices/outgoing_messages.h"
#include "federation/devices/parts.h"
#include "federation/devices/remote_devices.h"

namespace polder::devices {

using users::WantedOneTimeKeys;

struct Answer {
  json::Object keys;                     // the members of the answer, but for `failures`
  std::map<ServerName, Error> failures;  // servers that did not answer in time
};

// Thread-safe; called on shards.
class Encryption {
 public:
  Encryption(Parts parts, OutgoingMessages& outgoing, RemoteDevices& remote)
      : parts_(std::move(parts)), outgoing_(outgoing), remote_(remote) {}

  // keys/query, first part: {device_keys, master_keys, self_signing_keys} of users whose lists are
  // not known here. Their servers are asked at once, and waited for until the timeout; what they
  // answer is bounded in total.
  Task<Result<Answer>> query_others(users::Session asker, users::WantedKeys wanted, Millis timeout);
  // Second part: {device_keys, master_keys, self_signing_keys, user_signing_keys} of local users,
  // and of those whose lists are followed. Of many users, it is asked for a few at a time.
  Task<Result<json::Object>> query_known(UserId asker, users::WantedKeys wanted);
  // keys/claim: {one_time_keys}.
  Task<Result<Answer>> claim(WantedOneTimeKeys wanted, Millis timeout);
  // sendToDevice, once for a transaction id: in one batch into the inboxes of local devices and the
  // queues of other servers. message.messages are to anybody. Gives the local users that have news.
  Task<Result<std::vector<stores::UserNumber>>> send(users::Session sender,
                                                     users::ToDevice message);

 private:
  // One request to one server.
  struct Question {
    ServerName server;
    json::Object asked;  // by user
  };
  struct Asking;
  struct Found {
    std::vector<Question> questions;
    std::vector<UserId> to_follow;
  };
  Result<Found> look_up(const users::Session& asker, const users::WantedKeys& wanted) const;
  std::pair<users::WantedKeys, users::WantedKeys> divide(users::WantedKeys wanted) const;
  Result<json::Object> followed(const users::WantedKeys& wanted) const;
  Task<void> ask_all(std::shared_ptr<Asking> asking, std::vector<Question> questions,
                     Millis timeout);
  Task<void> ask(std::shared_ptr<Asking> asking);

  const Parts parts_;
  OutgoingMessages& outgoing_;
  RemoteDevices& remote_;
};

}  // namespace polder::devices
