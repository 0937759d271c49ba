// The nodes of persistent state maps (state_map.h): immutable, numbered by their room.
//
// Most nodes differ from the one that they replace by an item or two, and are written as that
// difference. All nodes of one update stand in one row, so that it costs one write and a walk down
// from its root one read.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"
#include "storage/stores/rooms/room_cache.h"

namespace polder::stores {

// Interned type and state key.
struct StateKey {
  uint32_t type = 0;
  uint64_t key = 0;
  friend auto operator<=>(const StateKey&, const StateKey&) = default;
};

// The hash function of state maps: what is on disk depends on it.
uint64_t mixed(uint64_t word);

struct StateNode {
  struct Item {
    StateKey last;       // leaf: the key itself; above: the last key below
    uint64_t value = 0;  // leaf: event number; above: node number
    uint64_t hash = 0;   // above: of the child's content
    friend bool operator==(const Item&, const Item&) = default;
  };
  uint8_t level = 0;
  uint8_t steps = 0;  // how many older nodes are read to read this one; 0: it is written whole
  std::vector<Item> items;  // ascending, at least one

  uint64_t content_hash() const;
};
using StateNodePtr = std::shared_ptr<const StateNode>;

// Nodes are numbered in rows of so many. An update begins a row.
inline constexpr uint64_t kNodesPerRow = 16;
inline constexpr uint8_t kNodeStepsMax = 8;
inline constexpr uint8_t kNodeLevelMax = 21;  // 3 bits of a key's hash each

// A node as it is written: whole, or as edits of an older one.
struct WrittenNode {
  // An item to set, or (with value 0) the key of one to remove.
  using Edits = std::vector<StateNode::Item>;

  uint64_t number = 0;
  StateNodePtr node;
  uint64_t base = 0;  // 0: whole
  Edits edits;        // ascending
};
// The node, written as edits of the base if that is shorter. The base may be null.
WrittenNode written_node(uint64_t number, StateNode node, uint64_t base_number,
                         const StateNodePtr& base);

std::string encode_state_row(uint64_t row, const std::vector<WrittenNode>& nodes);
void put_state_row(kv::Batch& batch, RoomNumber room, uint64_t row,
                   const std::vector<WrittenNode>& nodes);

using StateNodeCache = RoomCache<StateNode>;
void keep_node(StateNodeCache& cache, RoomNumber room, uint64_t number, StateNodePtr node);

// The nodes of one room as one caller sees them: those not yet committed (the overlay, which may be
// null), the cache, the snapshot.
class StateNodes {
 public:
  using Overlay = std::unordered_map<uint64_t, StateNodePtr>;
  StateNodes(RoomNumber room, const kv::Snapshot& snapshot, StateNodeCache& cache,
             const Overlay* overlay = nullptr)
      : room_(room), snapshot_(snapshot), cache_(cache), overlay_(overlay) {}
  Result<StateNodePtr> load(uint64_t node) const;  // kCorrupt if there is none
  // Of a node on disk: the node that it is edits of; 0 if it is whole.
  Result<uint64_t> base_of(uint64_t node) const;

 private:
  // A node as it is on disk.
  struct Stored {
    StateNode node;     // items: all, or edits
    uint64_t base = 0;  // 0: whole
  };
  Result<Stored> read_stored(uint64_t node) const;
  Result<StateNode> read(uint64_t node) const;

  RoomNumber room_;
  const kv::Snapshot& snapshot_;
  StateNodeCache& cache_;
  const Overlay* overlay_;
};

}  // namespace polder::stores
