#include "storage/stores/rooms/state_sweep.h"

#include "storage/keys/key.h"
#include "storage/stores/base/columns.h"
#include "storage/stores/rooms/event_rows.h"

namespace polder::stores {
namespace {

constexpr size_t kCachedNodes = 4096;

std::string row_key(RoomNumber room, uint64_t row) {
  return keys::KeyWriter().u64(room).u64(row).str();
}

}  // namespace

StateSweep::StateSweep(RoomNumber room, std::shared_ptr<const kv::Snapshot> snapshot,
                       RoomRecord record, uint64_t upto)
    : room_(room),
      snapshot_(std::move(snapshot)),
      record_(std::move(record)),
      upto_(upto),
      cache_(kCachedNodes),
      nodes_(room, *snapshot_, cache_),
      reached_(record_.last_node + 1),
      bases_(record_.last_node + 1),
      rows_(record_.last_node / kNodesPerRow + 1) {
  mark_root(record_.state);
  mark_root(record_.edge());
}

void StateSweep::mark_root(StateRoot root) {
  if (root.node != 0) todo_.push_back(root.node);
}

Result<bool> StateSweep::step(size_t reads) {
  for (; reads > 0; --reads) {
    if (!todo_.empty()) {
      const uint64_t node = todo_.back();
      todo_.pop_back();
      POLDER_CHECK(mark_node(node));
    } else if (next_event_ <= record_.last_event) {
      POLDER_CHECK(mark_event());
    } else {
      return collect(reads);
    }
  }
  return false;
}

Status StateSweep::mark_event() {
  POLDER_TRY(const auto event, read_event_record(*snapshot_, {room_, next_event_++}));
  if (!event) return {};
  mark_root(event->state_before);
  mark_root(event->state_after);
  if (event->room_state) mark_root(*event->room_state);
  return {};
}

Status StateSweep::mark_node(uint64_t node) {
  if (node >= reached_.size()) return fail(ErrorCode::kCorrupt, "a state node is beyond the last");
  if (reached_[node]) return {};
  reached_[node] = true;
  mark_row(node);
  POLDER_TRY(const StateNodePtr content, nodes_.load(node));
  if (content->level > 0) {
    for (const StateNode::Item& item : content->items)
      todo_.push_back(item.value);
  }
  return mark_bases(node);
}

// Of a base only its own bases are needed with it: what it led to is not read.
Status StateSweep::mark_bases(uint64_t node) {
  for (;;) {
    POLDER_TRY(node, nodes_.base_of(node));
    if (node == 0 || reached_[node] || bases_[node]) return {};
    bases_[node] = true;
    mark_row(node);
  }
}

// A row that holds one reachable node stays whole.
Result<bool> StateSweep::collect(size_t rows) {
  const uint64_t end = upto_ / kNodesPerRow + 1;
  const auto walk =
      snapshot_->iterate(kStateNodes, {row_key(room_, next_row_), row_key(room_, end)});
  for (walk->seek_to_first(); walk->valid(); walk->next()) {
    keys::KeyReader key(walk->key());
    key.u64();
    const uint64_t row = key.u64();
    if (rows-- == 0) {
      next_row_ = row;
      return false;
    }
    if (row < rows_.size() && !rows_[row]) unreachable_.push_back(row);
  }
  POLDER_CHECK(walk->status());
  return true;
}

void erase_state_rows(kv::Batch& batch, RoomNumber room, std::span<const uint64_t> rows) {
  for (const uint64_t row : rows)
    batch.erase(kStateNodes, row_key(room, row));
}

}  // namespace polder::stores
