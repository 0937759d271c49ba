// Rows of end-to-end encryption with other servers: what is known of their users' devices, what
// waits to be sent to their devices, and how far changes of local users' devices were told.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"

namespace polder::stores {

// The devices of another server's user, as that server told them. That server goes on telling of
// changes only while it knows of a shared room, so the row says which room was shared with whom.
struct RemoteDeviceList {
  int64_t stream_id = 0;   // of the user's server
  kv::Position as_of = 0;  // what was visible here before that server was asked
  RoomNumber room = 0;     // in which, at that time, both were
  UserNumber witness = 0;  // a local user
  std::string json;        // {"devices": {id: {"keys", "name"}}, "master_key", "self_signing_key"}
};
void put_remote_device_list(kv::Batch& batch, UserNumber user, const RemoteDeviceList& list);
void erase_remote_device_list(kv::Batch& batch, UserNumber user);
Result<std::optional<RemoteDeviceList>> read_remote_device_list(const kv::Snapshot& snapshot,
                                                                UserNumber user);

// Messages to devices of another server, in the order in which they were sent: contents of
// m.direct_to_device.
void put_outgoing_message(kv::Batch& batch, const ServerName& server, kv::PositionSlot slot,
                          std::string_view json);
// The oldest after a position.
Result<std::vector<std::pair<kv::Position, std::string>>> read_outgoing_messages(
    const kv::Snapshot& snapshot, const ServerName& server, kv::Position after, size_t limit);
void erase_outgoing_messages(kv::Batch& batch, const ServerName& server, kv::Position up_to);
Result<std::map<ServerName, size_t>> count_outgoing_messages(const kv::Snapshot& snapshot);

// A server that was not yet told of all changes of device lists of which it is known whom they
// concern: up to where it was. No row for one that was.
void put_list_backlog(kv::Batch& batch, const ServerName& server, kv::Position told);
void erase_list_backlog(kv::Batch& batch, const ServerName& server);
Result<std::map<ServerName, kv::Position>> read_list_backlogs(const kv::Snapshot& snapshot);

}  // namespace polder::stores
