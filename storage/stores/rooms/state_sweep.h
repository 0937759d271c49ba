// Finds the nodes of a room's state maps that nothing leads to any more. Nodes are never counted
// (docs/architecture.md, decision 8): all that can be reached is marked, in small steps, from one
// snapshot; the rest may go.
#pragma once

#include <memory>
#include <vector>

#include "storage/stores/rooms/room_rows.h"
#include "storage/stores/rooms/state_node.h"

namespace polder::stores {

// Used by one thread at a time.
class StateSweep {
 public:
  // Judges nodes up to `upto` only. The caller chooses it so that no root of those is held by
  // anybody who has not written it into the record of an event or of the room before the snapshot.
  StateSweep(RoomNumber room, std::shared_ptr<const kv::Snapshot> snapshot, RoomRecord record,
             uint64_t upto);

  // Does a part of the work, of about so many reads; true when all is done. After an error - a node
  // is damaged - nothing is known.
  Result<bool> step(size_t reads);
  // Rows of which no node is reached: to be erased once all is done.
  const std::vector<uint64_t>& unreachable_rows() const { return unreachable_; }

 private:
  void mark_root(StateRoot root);
  void mark_row(uint64_t node) { rows_[node / kNodesPerRow] = true; }
  Status mark_node(uint64_t node);
  Status mark_bases(uint64_t node);
  Status mark_event();
  Result<bool> collect(size_t rows);

  const RoomNumber room_;
  const std::shared_ptr<const kv::Snapshot> snapshot_;
  const RoomRecord record_;
  const uint64_t upto_;
  StateNodeCache cache_;
  const StateNodes nodes_;
  EventNumber next_event_ = 1;
  std::vector<uint64_t> todo_;  // nodes that are reached, to be read
  std::vector<bool> reached_;   // by number
  std::vector<bool> bases_;     // by number: nodes that others are edits of
  std::vector<bool> rows_;      // that must stay
  uint64_t next_row_ = 0;
  std::vector<uint64_t> unreachable_;
};

void erase_state_rows(kv::Batch& batch, RoomNumber room, std::span<const uint64_t> rows);

}  // namespace polder::stores
