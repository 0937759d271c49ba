// The heads of all rooms: what readers need to know of a room without entering its shard. A head is
// immutable and published after the commit that made it; the table is by room number.
#pragma once

#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "homeserver/base/values/ids.h"
#include "homeserver/base/values/mutex.h"
#include "homeserver/protocol/events/room_version.h"
#include "storage/kv/kv.h"
#include "storage/stores/rooms/room_rows.h"

namespace polder::rooms {

// The end of a room's timeline: nearly all readers want nothing older. Immutable, small.
class RecentTimeline {
 public:
  struct Entry {
    kv::Position position = 0;
    stores::EventNumber number = 0;
    stores::StateRoot room_state;  // the room's current state once the event was there
    // Events that notify up to here (RoomRecord::notifying); kUnknown between events of one commit.
    uint64_t notifying = kUnknown;
  };
  static constexpr uint64_t kUnknown = ~uint64_t{0};

  // Entries with from < position <= to, newest first, at most limit; nothing if older ones may be
  // among them.
  std::optional<std::vector<stores::TimelineEntry>> between(kv::Position from, kv::Position to,
                                                            size_t limit) const;
  // The room's state as of a position; nothing if that is older.
  std::optional<stores::StateRoot> state_at(kv::Position position) const;

  // How many events notify up to a position; nothing if that is older.
  std::optional<uint64_t> notifying_at(kv::Position position) const;
  // Whether events after the position may be in threads and notify there, or are for somebody in
  // particular.
  bool may_notify_in_threads(kv::Position after) const { return after < threaded_; }
  bool may_highlight(kv::Position after) const { return after < highlighted_; }
  // Whether events after the position may be redacted.
  bool may_be_redacted(kv::Position after) const { return after < redacted_; }

  // Begins anew, with nothing: all up to the position is older.
  void begin_after(kv::Position position);
  // The same; of what is older nothing is known.
  void begin_unknown_after(kv::Position position);
  // In the order of positions.
  void add(const Entry& entry);
  void note_notified_in_thread(kv::Position position) { threaded_ = position; }
  void note_highlighted(kv::Position position) { highlighted_ = position; }
  void note_redaction(kv::Position position) { redacted_ = position; }

 private:
  static constexpr size_t kEntries = 24;  // more than most clients want in one response
  // Kept are all entries after this position.
  kv::Position after_ = kv::kLastPosition;
  std::vector<Entry> entries_;  // oldest first
  kv::Position threaded_ = kv::kLastPosition;
  kv::Position highlighted_ = kv::kLastPosition;
  kv::Position redacted_ = kv::kLastPosition;  // the last redaction
};

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
  RecentTimeline recent;
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
