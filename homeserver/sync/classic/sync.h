// /sync: what changed for a user since a token, and waiting until something does.
// https://spec.matrix.org/v1.19/client-server-api/#syncing
//
// A request reads a snapshot up to one `visible` position, compares the user's rooms with the table
// of heads, and reads only the rooms that changed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "homeserver/base/json/value.h"
#include "homeserver/base/runtime/sync.h"
#include "homeserver/rooms/engine.h"
#include "homeserver/sync/classic/filter.h"
#include "homeserver/sync/push/counts.h"
#include "homeserver/users/device_keys.h"
#include "homeserver/users/receipts.h"

namespace polder::sync {

struct SyncRequest {
  UserId user;
  stores::UserNumber number = 0;
  DeviceId device;
  std::string since;  // empty: an initial sync
  Filter filter;
  bool full_state = false;
  bool use_state_after = false;       // MSC4222
  bool unstable_state_after = false;  // answer under the unstable name
  Millis timeout{0};
};

// What responses are read from; all outlive Sync.
struct Services {
  rooms::RoomEngine& rooms;
  users::Typing& typing;
  users::Receipts& receipts;
  users::DeviceKeys& device_keys;
  const push::Rules& push_rules;
  const push::Counts& counts;
};

// JSON: all of it, or how it begins.
struct SyncResponse {
  std::string text;
  // Of a large one, makes the next piece; gives nothing at the end. One call at a time.
  std::function<Task<Result<std::optional<std::string>>>()> more;
};

// Thread-safe.
class Sync final : public rooms::Observer {
 public:
  explicit Sync(Services services);
  ~Sync() override;

  Task<Result<SyncResponse>> run(SyncRequest request);
  // Something of the user changed that is no event of a room.
  void wake(stores::UserNumber user);
  // Something of a room changed that is no event: a receipt.
  void wake_room(stores::RoomNumber room);
  // Somebody types in the room, for so long unless they say otherwise. Called on a shard.
  void typing_changed(stores::RoomNumber room, Millis lasts);
  // The user's keys changed: whoever shares a room with them is told.
  void wake_all_of(stores::UserNumber user);

  // rooms::Observer
  void committed(const rooms::StoredEvent& event, rooms::Verdict verdict,
                 const std::vector<rooms::StateChange>& changes) override;
  void committed_outside(const rooms::OutsideMembership& membership) override;

 private:
  struct Waiter;
  // Touched only on its shard.
  struct Shard {
    std::unordered_multimap<stores::RoomNumber, Waiter*> rooms;
    std::unordered_multimap<stores::UserNumber, Waiter*> users;
  };
  bool unchanged_since(const struct StreamToken& token) const;
  void wake_on_shards(std::optional<stores::RoomNumber> room,
                      std::vector<stores::UserNumber> users);

  const Services services_;
  std::vector<Shard> shards_;
};

}  // namespace polder::sync
