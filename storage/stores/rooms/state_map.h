// The persistent state map (docs/architecture.md, decision 8): from (type, state key) to the event
// that sets it, ordered, and canonical in shape - the same entries make the same tree however they
// came together - so that two states compare in the time of what differs.
//
// It is a search tree whose nodes end where the hash of a key says so: a key of level n (its hash
// has 3n trailing zero bits) ends a node on every level below n. Nodes are immutable, numbered by
// their room and hold, of each child, its last key, its number and the hash of its content. How
// they are written is state_node.h's.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "storage/kv/kv.h"
#include "storage/stores/rooms/event_rows.h"
#include "storage/stores/rooms/state_node.h"

namespace polder::stores {

struct StateEntry {
  StateKey key;
  EventNumber event = 0;
  friend bool operator==(const StateEntry&, const StateEntry&) = default;
};

Result<std::optional<EventNumber>> state_get(const StateNodes& nodes, StateRoot root, StateKey key);

// Entries in order; all, or those of one type. The visitor ends the walk by returning false.
using StateVisitor = std::function<bool(const StateEntry&)>;
Status state_for_each(const StateNodes& nodes, StateRoot root, std::optional<uint32_t> type,
                      const StateVisitor& visit);

// An entry to set, or (without event) to remove.
struct StateEdit {
  StateKey key;
  std::optional<EventNumber> event;
};
struct StateUpdate {
  StateRoot root;
  std::vector<WrittenNode> new_nodes;  // by number, to be written with put_state_nodes()
  uint64_t last_node = 0;              // the counter, advanced if there are any
};
// Applies edits (any order; a later one of the same key wins). New nodes get numbers of the rows
// after that of last_node.
Result<StateUpdate> state_apply(const StateNodes& nodes, StateRoot root,
                                std::vector<StateEdit> edits, uint64_t last_node);
void put_state_nodes(kv::Batch& batch, RoomNumber room, const StateUpdate& update);

// Keys on which the two differ, in order, with the event of each side; the first max of them.
struct StateDifference {
  StateKey key;
  std::optional<EventNumber> before;
  std::optional<EventNumber> after;
};
Result<std::vector<StateDifference>> state_diff(const StateNodes& nodes, StateRoot before,
                                                StateRoot after,
                                                size_t max = std::numeric_limits<size_t>::max());

}  // namespace polder::stores
