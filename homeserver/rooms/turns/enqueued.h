// A change between its turn and its commit.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "homeserver/base/runtime/sync.h"
#include "homeserver/base/values/result.h"
#include "homeserver/rooms/model/heads.h"
#include "homeserver/rooms/turns/staged.h"
#include "homeserver/rooms/turns/transaction.h"

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

}  // namespace polder::rooms
