// The persistent state map (docs/architecture.md, decision 8): from (type, state key) to the event
// that sets it, ordered, and canonical in shape - the same entries make the same tree however they
// came together - so that two states compare in the time of what differs.
//
// It is a search tree whose nodes end where the hash of a key says so: a key of level n (its hash
// has 3n trailing zero bits) ends a node on every level below n. Nodes are immutable, numbered by
// their room and hold, of each child, its last key, its number and the hash of its content.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "storage/kv/kv.h"
#include "storage/stores/event_rows.h"
#include "storage/stores/names.h"
#include "storage/stores/room_cache.h"

namespace polder::stores {

// Interned type and state key.
struct StateKey {
  uint32_t type = 0;
  uint64_t key = 0;
  friend auto operator<=>(const StateKey&, const StateKey&) = default;
};

struct StateEntry {
  StateKey key;
  EventNumber event = 0;
  friend bool operator==(const StateEntry&, const StateEntry&) = default;
};

struct StateNode {
  struct Item {
    StateKey last;       // leaf: the key itself; above: the last key below
    uint64_t value = 0;  // leaf: event number; above: node number
    uint64_t hash = 0;   // above: of the child's content
  };
  uint8_t level = 0;
  std::vector<Item> items;  // ascending, at least one

  uint64_t content_hash() const;
  std::string encode() const;
  static Result<StateNode> decode(std::string_view bytes);
};
using StateNodePtr = std::shared_ptr<const StateNode>;

using StateNodeCache = RoomCache<StateNode>;

// The nodes of one room as one caller sees them: those not yet committed (the overlay, which may be
// null), the cache, the snapshot.
class StateNodes {
 public:
  using Overlay = std::unordered_map<uint64_t, StateNodePtr>;
  StateNodes(RoomNumber room, const kv::Snapshot& snapshot, StateNodeCache& cache,
             const Overlay* overlay = nullptr)
      : room_(room), snapshot_(snapshot), cache_(cache), overlay_(overlay) {}
  Result<StateNodePtr> load(uint64_t node) const;  // kCorrupt if there is none

 private:
  RoomNumber room_;
  const kv::Snapshot& snapshot_;
  StateNodeCache& cache_;
  const Overlay* overlay_;
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
  std::vector<std::pair<uint64_t, StateNodePtr>> new_nodes;  // to be written with put_state_nodes()
  uint64_t last_node = 0;                                    // the counter, advanced
};
// Applies edits (any order; a later one of the same key wins). New nodes get numbers from last_node
// + 1 on.
Result<StateUpdate> state_apply(const StateNodes& nodes, StateRoot root,
                                std::vector<StateEdit> edits, uint64_t last_node);
void put_state_nodes(kv::Batch& batch, RoomNumber room, const StateUpdate& update);

// Keys on which the two differ, in order, with the event of each side.
struct StateDifference {
  StateKey key;
  std::optional<EventNumber> before;
  std::optional<EventNumber> after;
};
Result<std::vector<StateDifference>> state_diff(const StateNodes& nodes, StateRoot before,
                                                StateRoot after);

}  // namespace polder::stores
