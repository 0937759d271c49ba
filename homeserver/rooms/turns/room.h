// A room in memory, on its shard: its queue, and what was staged but is not yet on disk.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "homeserver/base/runtime/sync.h"
#include "homeserver/rooms/model/room_view.h"
#include "homeserver/rooms/turns/transaction.h"

namespace polder::rooms {

struct Enqueued;

// Only in its queue's turn is a room changed: on its shard, or in the one on_pool() hop of that
// turn.
struct Room : RoomContent {
  Room(runtime::Runtime& runtime, RoomNumber room)
      : RoomContent(room), queue(runtime), all_done(runtime) {}

  runtime::SerialQueue queue;
  bool loaded = false;
  bool exists = false;  // has a record: was created, joined, or learned of

  stores::RoomRecord record;                                   // as staged
  std::unordered_map<stores::ServerNumber, uint64_t> servers;  // joined members of each, as staged
  bool servers_changed = true;
  std::shared_ptr<const std::unordered_map<stores::ServerNumber, uint64_t>>
      shared_servers;  // for heads

  // What commits have made durable since the last turn; taken out of the pending ones when the next
  // turn begins, because a turn's work on the pool reads those.
  struct Settled {
    EventNumber event = 0;
    EventId id;
    std::vector<uint64_t> nodes;
    kv::Position position = 0;  // which the commit gave
    bool erases = false;        // also what it did not stage
  };
  std::vector<Settled> settled;
  // Takes it out, at the beginning of a turn: what is on disk, and nobody else is about to write.
  void settle(Caches& caches);

  // A commit was refused or failed: what is staged is void, and nothing is enqueued any more until
  // the room has been read anew.
  bool failed = false;
  // Forgets all that it knows: it is read anew.
  void forget();

  // Whose events are enqueued and not done (send.cc).
  std::map<Transaction, std::shared_ptr<Enqueued>> transactions;

  size_t commits = 0;                                   // enqueued and not done
  runtime::Signal all_done;                             // none is left
  uint64_t used = 0;                                    // when, as its shard counts
  std::chrono::nanoseconds joins_extremities_after{0};  // steady time (after_receipt.cc)
};

}  // namespace polder::rooms
