// What is known of the devices of other servers' users.
// https://spec.matrix.org/v1.19/server-server-api/#device-management
//
// A list is kept from the first question of a client on, and is followed by the updates that the
// user's server sends to those who share a room with the user. It counts only as long as the same
// two users, ours and theirs, are in the room that was shared when it was asked for: after that the
// server may have been silent. An update that does not continue what is known drops the list, and
// it is asked for anew: once at a time for each user, with growing pauses.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "federation/devices/known_list.h"
#include "federation/devices/parts.h"
#include "homeserver/base/runtime/sync.h"
#include "storage/stores/federation/remote_device_rows.h"

namespace polder::devices {

// Lives on shard 0; what is public can be called on any shard. Outlives its tasks.
class RemoteDevices {
 public:
  explicit RemoteDevices(Parts parts);

  // Contents of EDUs. Those of a wrong shape, of users who are not of the origin, or who share no
  // room with anyone here, are ignored. Local clients are told durably before it returns.
  Task<void> device_list_update(ServerName origin, json::Object content);
  Task<void> signing_key_update(ServerName origin, json::Object content);

  // The list of a user if it is known and counts. Synchronous; on the pool.
  Result<std::optional<KnownList>> known(const kv::Snapshot& snapshot, const UserId& user) const;
  // From now on the user's list is to be known, for a local user who shares a room with the user;
  // without effect if none is shared.
  void follow(UserId user, stores::UserNumber witness);

 private:
  struct Resync;
  struct Place {  // of a user who shares a room
    stores::UserNumber number = 0;
    std::optional<stores::RemoteDeviceList> list;  // that counts
  };
  enum class Outcome : uint8_t { kIgnored, kTold, kGap };
  struct Applied {
    Outcome outcome = Outcome::kIgnored;
    stores::UserNumber user = 0;
    stores::UserNumber witness = 0;  // of the list that was dropped, for a gap
    kv::Batch batch;
  };
  using Apply = std::function<Result<Applied>(const kv::Snapshot&)>;

  Result<std::optional<Place>> place_of(const kv::Snapshot& snapshot, const UserId& user,
                                        kv::Batch& batch) const;
  Result<Applied> apply_device(const kv::Snapshot& snapshot, const DeviceUpdate& update) const;
  Result<Applied> apply_signing_keys(const kv::Snapshot& snapshot,
                                     const SigningKeyUpdate& update) const;
  Task<bool> change(UserId user, Apply apply);

  Task<void> follow_here(UserId user, stores::UserNumber witness);
  void start_resync(const UserId& user, stores::UserNumber witness);
  Task<void> resync(UserId user, std::shared_ptr<Resync> state);
  Task<Status> ask(UserId user, std::shared_ptr<Resync> state);
  Task<Status> keep(UserId user, stores::RemoteDeviceList list, std::shared_ptr<Resync> state);

  const Parts parts_;
  std::vector<std::unique_ptr<runtime::SerialQueue>> turns_;  // of users, by a hash of their ids
  std::map<UserId, std::shared_ptr<Resync>> resyncs_;         // under way
  size_t asking_ = 0;
  runtime::Signal asked_;
};

}  // namespace polder::devices
