// Rows of the index over a room's auth chains (homeserver/protocol/dag/auth_chains.h has what it
// means): one for each state event, written with the event and never changed, and one for each
// chain of more than one event.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "storage/kv/kv.h"
#include "storage/stores/rooms/event_rows.h"

namespace polder::stores {

// An event of a chain, which is named by its first event.
struct ChainLink {
  EventNumber chain = 0;
  EventNumber event = 0;
  friend bool operator==(const ChainLink&, const ChainLink&) = default;
};

struct ChainRow {
  EventNumber chain = 0;
  EventNumber before = 0;  // the event before it on the chain; 0 for the first
  EventNumber linked = 0;  // the nearest one before it that has links; 0 if none has
  std::vector<ChainLink> links;
  friend bool operator==(const ChainRow&, const ChainRow&) = default;
};

// Makes the event the last of its chain.
void put_chain_row(kv::Batch& batch, EventPlace place, const ChainRow& row);
// The last event of a chain.
Result<EventNumber> read_chain_end(const kv::Snapshot& snapshot, RoomNumber room,
                                   EventNumber chain);
// The rows of events with from <= number < to, ascending.
Status for_each_chain_row(const kv::Snapshot& snapshot, RoomNumber room, EventNumber from,
                          EventNumber to,
                          const std::function<void(EventNumber, const ChainRow&)>& visit);
// Each chain that has more than one event, with its last one.
Status for_each_chain_end(const kv::Snapshot& snapshot, RoomNumber room,
                          const std::function<void(EventNumber, EventNumber)>& visit);

}  // namespace polder::stores
