// The turns of rooms: every change of every room, local or remote, goes through that room's queue,
// in its order (docs/architecture.md, decision 3).
//
// A change is staged in the room's turn, its batch is enqueued before the turn ends, and the next
// change builds on it at once; the caller is answered once the batch is on disk. If a commit fails,
// the room in memory is thrown away and read anew.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/rooms/model/heads.h"
#include "homeserver/rooms/model/ports.h"
#include "homeserver/rooms/model/source.h"
#include "homeserver/rooms/turns/room.h"
#include "homeserver/rooms/turns/staged.h"
#include "storage/kv/committer.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"

namespace polder::rooms {

inline constexpr size_t kCacheBytes = size_t{64} << 20;
inline constexpr size_t kRoomsHeld = 2000;

// What rooms are made of; all outlive them.
struct RoomParts {
  runtime::Runtime& runtime;
  kv::Database& database;
  kv::Committer& committer;
  stores::Names& names;
  ServerName own_name;
  size_t cache_bytes = kCacheBytes;  // of what was read of rooms, decoded
  size_t rooms_held = kRoomsHeld;    // in memory, besides those in use; of each shard
};

class Rooms {
 public:
  using Step = std::function<Result<Staged>(Room&, const kv::Snapshot&)>;

  explicit Rooms(RoomParts parts);
  ~Rooms();
  Rooms(const Rooms&) = delete;
  Rooms& operator=(const Rooms&) = delete;

  // Both before the first change.
  void add_observer(Observer& observer);
  // Called, on the room's shard, when a change is on disk that left the current state on its way to
  // the state of the forward extremities.
  void when_behind(std::function<void(RoomNumber)> call);
  // Publishes the heads of all rooms. Synchronous; at start.
  Status load_heads();

  // --- Reading. Thread-safe. ---

  const RoomParts& parts() const { return parts_; }
  const RoomSource& source() const { return source_; }
  Caches& caches() const { return caches_; }
  // Null if the room is not known here.
  RoomHeadPtr head(RoomNumber room) const { return heads_.find(room); }
  // kNotFound if the room is not known here.
  Task<Result<RoomNumber>> number_of(RoomId room) const;
  size_t shard_of(RoomNumber room) const { return room % parts_.runtime.shard_count(); }
  // How many rooms a shard has in memory. On that shard.
  size_t rooms_in_memory(size_t shard) const;

  // --- Changes. On the room's shard. ---

  // Stays where it is as long as somebody has or awaits its turn, or its commits are under way.
  Room& room_at(RoomNumber number);
  // Lets a room go of which nothing was stored, unless somebody else is about to.
  void discard_unmade(RoomNumber number);

  // What a turn begins with: the room is loaded, and what was made durable is no longer pending.
  Task<Status> begin_turn(Room& room);
  // Stages in the room's turn, enqueues, and waits for the disk.
  Task<Result<Staged>> change(RoomNumber number, Step step);
  // The same in a turn that the caller holds, without waiting for the disk; finish() waits.
  Task<Result<std::shared_ptr<Enqueued>>> stage_and_enqueue(Room& room, Step step);
  std::shared_ptr<Enqueued> enqueue(Room& room, Staged staged, std::vector<Staged> also = {},
                                    std::vector<uint32_t> moved = {});
  // All as one batch.
  std::shared_ptr<Enqueued> enqueue_all(Room& room, std::vector<Staged> all);
  Task<Result<Staged>> finish(std::shared_ptr<Enqueued> enqueued);

  // The room is there no more. As its commit publishes: on the committer's thread.
  void remove_head(RoomNumber room) { heads_.remove(room); }

 private:
  struct Shard;

  void let_rooms_go(Shard& shard) const;
  Status load(Room& room, const kv::Snapshot& snapshot) const;
  Status publish_stored(Room& room, const kv::Snapshot& snapshot);
  void publish(Enqueued& enqueued, kv::Committed positions);
  void committed(Room& room, Enqueued& enqueued, const Result<kv::Committed>& result);

  RoomParts parts_;
  mutable Caches caches_;
  RoomHeads heads_;
  const RoomSource source_;
  std::vector<Observer*> observers_;
  std::function<void(RoomNumber)> when_behind_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace polder::rooms
