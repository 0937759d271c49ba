// Takes back the disk that rooms no longer need: in the background, a room at a time, in small
// steps outside of the rooms' queues.
#pragma once

#include <map>

#include "homeserver/base/runtime/runtime.h"
#include "homeserver/rooms/model/room_view.h"
#include "storage/kv/committer.h"
#include "storage/kv/kv.h"
#include "storage/stores/rooms/room_rows.h"

namespace polder::rooms {

inline constexpr const char* kReclaimJob = "reclaim";

// Used on one shard. What it is made of outlives it and its tasks.
class Reclaimer {
 public:
  Reclaimer(runtime::Runtime& runtime, kv::Database& database, kv::Committer& committer)
      : runtime_(runtime), database_(database), committer_(committer) {}

  // A pass over all rooms every so often, until the job is asked to stop.
  Task<void> run(Millis pause);
  // Erases nodes of state maps that nothing leads to, of the rooms that made nodes. A pass judges
  // only nodes that were there at the last one: younger ones may be of a state that was fetched for
  // an event which is still waiting for its turn. Gives how many rows went.
  Task<Result<uint64_t>> pass();

 private:
  struct Seen {
    uint64_t last_node = 0;  // at the last pass
    bool swept = false;      // all up to there were judged then
    int64_t purged = 0;      // depth before which history had been purged
  };
  struct Listed {
    RoomNumber number = 0;
    uint64_t last_node = 0;
    int64_t purged = 0;
  };
  using Rooms = std::vector<Listed>;

  Task<Status> pass_and_tell();
  Task<Result<uint64_t>> sweep(RoomNumber room, uint64_t upto);

  runtime::Runtime& runtime_;
  kv::Database& database_;
  kv::Committer& committer_;
  std::map<RoomNumber, Seen> seen_;
};

}  // namespace polder::rooms
