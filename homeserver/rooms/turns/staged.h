// A change of a room on its way from its turn to the disk.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "homeserver/rooms/model/ports.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"

namespace polder::rooms {

// What staging made. Its batch must be enqueued before the turn ends.
struct Staged {
  StoredEvent stored;  // without event if only nodes of states were stored
  Verdict verdict = Verdict::kAccepted;
  std::string refusal;  // which rule refused; empty if accepted
  std::vector<StateChange> changes;
  kv::Batch batch;
  stores::NewNames names;
  std::vector<uint64_t> nodes;  // new nodes, to be forgotten by the overlay at commit
  // Its batch erases events, or takes their places in history: what is kept of them is old then.
  bool erases = false;
  // Instead of an event; its position is known once committed.
  std::optional<OutsideMembership> outside;
  std::optional<kv::PositionSlot> outside_slot;
};

// What became of an event that was sent.
struct SentEvent {
  EventId id;
  kv::Position position = 0;  // 0 if a request that was answered before is repeated
};

}  // namespace polder::rooms
