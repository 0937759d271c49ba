// The heads of all rooms: what readers need to know of a room without entering its shard. A head is
// immutable and published after the commit that made it; the table is by room number.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "homeserver/base/values/ids.h"
#include "homeserver/base/values/mutex.h"
#include "homeserver/protocol/events/room_version.h"
#include "storage/kv/kv.h"
#include "storage/stores/rooms/room_rows.h"

namespace polder::rooms {

struct RoomHead {
  stores::RoomNumber number = 0;
  stores::RoomRecord record;  // as committed
  const events::RoomVersionRules* rules = nullptr;
  kv::Position last = 0;         // of the newest event in the timeline
  kv::Position last_change = 0;  // of the newest change of the current state
  // How often records of events that were stored before have changed since the start: what was read
  // of them before the last time may be old.
  uint64_t rewrites = 0;
  // Servers with joined members, and how many; shared as long as no server comes or goes.
  std::shared_ptr<const std::unordered_map<stores::ServerNumber, uint64_t>> servers;
};
using RoomHeadPtr = std::shared_ptr<const RoomHead>;

// Thread-safe.
class RoomHeads {
 public:
  RoomHeadPtr find(stores::RoomNumber room) const {
    const Shard& part = shard(room);
    const base::Lock lock(part.mutex);
    const auto found = part.heads.find(room);
    return found == part.heads.end() ? nullptr : found->second;
  }
  void publish(RoomHeadPtr head) {
    Shard& part = shard(head->number);
    const base::Lock lock(part.mutex);
    part.heads[head->number] = std::move(head);
  }
  void remove(stores::RoomNumber room) {
    Shard& part = shard(room);
    const base::Lock lock(part.mutex);
    part.heads.erase(room);
  }

 private:
  static constexpr size_t kShards = 64;
  struct Shard {
    mutable base::Mutex mutex;
    std::unordered_map<stores::RoomNumber, RoomHeadPtr> heads GUARDED_BY(mutex);
  };
  const Shard& shard(stores::RoomNumber room) const { return shards_[room % kShards]; }
  Shard& shard(stores::RoomNumber room) { return shards_[room % kShards]; }

  std::array<Shard, kShards> shards_;
};

}  // namespace polder::rooms
