// A change between its turn and its commit.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "homeserver/base/runtime/sync.h"
#include "homeserver/rooms/engine.h"
#include "homeserver/rooms/told_state.h"

namespace polder::rooms {

struct Enqueued {
  explicit Enqueued(runtime::Runtime& runtime) : signal(runtime) {}

  Staged staged;
  std::vector<Staged> also;        // further events of the same batch
  std::vector<uint32_t> moved;     // by how much the slots of each moved
  std::shared_ptr<RoomHead> head;  // to be published
  bool lags = false;               // the current state is on its way to the edge
  runtime::Signal signal;
  bool done = false;
  std::optional<Error> failure;
  SentEvent sent;                          // once it is done, and did not fail
  std::optional<Transaction> transaction;  // by which the room knows it
};

struct RoomEngine::Shard {
  // Those that were changed or looked at lately; others are read again when they are needed.
  std::unordered_map<RoomNumber, std::unique_ptr<Room>> rooms;
  uint64_t uses = 0;  // of rooms, counted
  // Whose states are being completed, and whether there is more to look at than was known then.
  std::unordered_map<RoomNumber, bool> completing;
  // What is not yet taken in of the state that came with an event; in memory only: it can be asked
  // for again.
  std::unordered_map<RoomNumber, std::pair<EventNumber, ToldStatePtr>> told;
};

}  // namespace polder::rooms
