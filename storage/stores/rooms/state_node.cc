#include "storage/stores/rooms/state_node.h"

#include <algorithm>

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/columns.h"

namespace polder::stores {
namespace {

constexpr uint8_t kRowFormat = 2;
constexpr size_t kItemsMax = 1 << 16;  // far beyond what chance gives; damage is noticed

using Item = StateNode::Item;
using Edits = WrittenNode::Edits;

Error damaged() {
  return fail(ErrorCode::kCorrupt, "damaged record: state node");
}

uint64_t combine(uint64_t hash, uint64_t word) {
  return mixed(hash * 0x9E3779B97F4A7C15u + word);
}

std::string row_key(RoomNumber room, uint64_t row) {
  return keys::KeyWriter().u64(room).u64(row).str();
}

// Other nodes are named by how far they are before the end of the row: the children and bases of
// an update's nodes are in the same row or not long before.
uint64_t row_end(uint64_t row) {
  return (row + 1) * kNodesPerRow;
}

// Items in order: keys as differences. Value 0 is an item that is removed.
class ItemWriter {
 public:
  ItemWriter(keys::ValueWriter& out, uint8_t level, uint64_t end)
      : out_(out), level_(level), end_(end) {}

  void write(const Item& item) {
    const uint32_t type_step = item.last.type - last_.type;
    out_.varint(type_step).varint(type_step == 0 ? item.last.key - last_.key : item.last.key);
    out_.varint(level_ == 0 || item.value == 0 ? item.value : end_ - item.value);
    if (level_ > 0 && item.value != 0) out_.fixed64(item.hash);
    last_ = item.last;
  }

 private:
  keys::ValueWriter& out_;
  const uint8_t level_;
  const uint64_t end_;
  StateKey last_;
};

// False for items that are not in order or name what cannot be.
bool read_items(keys::ValueReader& in, uint8_t level, uint64_t end, std::vector<Item>& items) {
  StateKey last;
  for (Item& item : items) {
    const uint64_t type_step = in.varint();
    const uint64_t key = in.varint();
    item.last = {static_cast<uint32_t>(last.type + type_step),
                 type_step == 0 ? last.key + key : key};
    item.value = in.varint();
    if (level > 0 && item.value != 0) {
      if (item.value >= end) return false;
      item.value = end - item.value;
      item.hash = in.fixed64();
    }
    if (!in.ok() || (&item != items.data() && item.last <= last)) return false;
    last = item.last;
  }
  return true;
}

Edits difference(const std::vector<Item>& before, const std::vector<Item>& after) {
  Edits edits;
  auto old = before.begin();
  for (const Item& item : after) {
    for (; old != before.end() && old->last < item.last; ++old)
      edits.push_back({old->last, 0, 0});
    const bool same_key = old != before.end() && old->last == item.last;
    if (!same_key || *old != item) edits.push_back(item);
    if (same_key) ++old;
  }
  for (; old != before.end(); ++old)
    edits.push_back({old->last, 0, 0});
  return edits;
}

std::vector<Item> edited(const std::vector<Item>& before, const Edits& edits) {
  std::vector<Item> after;
  auto old = before.begin();
  for (const Item& edit : edits) {
    for (; old != before.end() && old->last < edit.last; ++old)
      after.push_back(*old);
    if (old != before.end() && old->last == edit.last) ++old;
    if (edit.value != 0) after.push_back(edit);
  }
  after.insert(after.end(), old, before.end());
  return after;
}

// The part of a row that is one node; kCorrupt if it has none of that number.
Result<std::string_view> find_node(std::string_view row, uint64_t node) {
  keys::ValueReader reader(row, kRowFormat);
  while (reader.ok() && !reader.at_end()) {
    const uint64_t index = reader.varint();
    const std::string_view bytes = reader.text();
    if (reader.ok() && index == node % kNodesPerRow) return bytes;
  }
  if (!reader.ok()) return damaged();
  return fail(ErrorCode::kCorrupt, "a state node is missing");
}

}  // namespace

uint64_t mixed(uint64_t word) {
  word ^= word >> 32;
  word *= 0xD6E8FEB86659FD93u;
  word ^= word >> 32;
  word *= 0xD6E8FEB86659FD93u;
  return word ^ (word >> 32);
}

uint64_t StateNode::content_hash() const {
  uint64_t hash = level + 1u;
  for (const Item& item : items) {
    hash = combine(hash, item.last.type);
    hash = combine(hash, item.last.key);
    hash = combine(hash, level == 0 ? item.value : item.hash);
  }
  return hash == 0 ? 1 : hash;
}

void keep_node(StateNodeCache& cache, RoomNumber room, uint64_t number, StateNodePtr node) {
  const size_t bytes = sizeof(StateNode) + node->items.capacity() * sizeof(Item);
  cache.insert(room, number, std::move(node), bytes);
}

WrittenNode written_node(uint64_t number, StateNode node, uint64_t base_number,
                         const StateNodePtr& base) {
  WrittenNode written;
  written.number = number;
  if (base && base->steps < kNodeStepsMax) {
    Edits edits = difference(base->items, node.items);
    if (edits.size() * 2 <= node.items.size()) {
      node.steps = static_cast<uint8_t>(base->steps + 1);
      written.base = base_number;
      written.edits = std::move(edits);
    }
  }
  written.node = std::make_shared<const StateNode>(std::move(node));
  return written;
}

// docs/formats/columns.md.
std::string encode_state_row(uint64_t row, const std::vector<WrittenNode>& nodes) {
  keys::ValueWriter value(kRowFormat);
  for (const WrittenNode& written : nodes) {
    const StateNode& node = *written.node;
    const std::vector<Item>& items = written.base == 0 ? node.items : written.edits;
    keys::ValueWriter content(node.level);
    content.varint(node.steps);
    if (written.base != 0) content.varint(row_end(row) - written.base);
    content.varint(items.size());
    ItemWriter writer(content, node.level, row_end(row));
    for (const Item& item : items)
      writer.write(item);
    value.varint(written.number % kNodesPerRow).text(content.str());
  }
  return value.str();
}

void put_state_row(kv::Batch& batch, RoomNumber room, uint64_t row,
                   const std::vector<WrittenNode>& nodes) {
  batch.put(kStateNodes, row_key(room, row), encode_state_row(row, nodes));
}

Result<StateNodes::Stored> StateNodes::read_stored(uint64_t node) const {
  const uint64_t row = node / kNodesPerRow;
  POLDER_TRY(const auto bytes, snapshot_.get(kStateNodes, row_key(room_, row)));
  if (!bytes) return fail(ErrorCode::kCorrupt, "a state node is missing");
  POLDER_TRY(const std::string_view content, find_node(*bytes, node));
  if (content.empty()) return damaged();
  Stored found;
  found.node.level = static_cast<uint8_t>(content.front());
  keys::ValueReader reader(content, found.node.level);
  const uint64_t steps = reader.varint();
  const uint64_t distance = steps == 0 ? 0 : reader.varint();
  const uint64_t count = reader.varint();
  if (found.node.level > kNodeLevelMax || steps > kNodeStepsMax || count > kItemsMax)
    return damaged();
  found.node.steps = static_cast<uint8_t>(steps);
  found.node.items.resize(count);
  if (!read_items(reader, found.node.level, row_end(row), found.node.items)) return damaged();
  POLDER_CHECK(reader.finish("state node"));
  if (steps == 0) return found;
  if (distance <= kNodesPerRow || distance >= row_end(row)) return damaged();
  found.base = row_end(row) - distance;
  return found;
}

Result<uint64_t> StateNodes::base_of(uint64_t node) const {
  POLDER_TRY(const Stored stored, read_stored(node));
  return stored.base;
}

Result<StateNode> StateNodes::read(uint64_t node) const {
  POLDER_TRY(Stored stored, read_stored(node));
  StateNode& found = stored.node;
  if (stored.base != 0) {
    POLDER_TRY(const StateNodePtr base, load(stored.base));
    if (base->level != found.level || base->steps + 1u != found.steps) return damaged();
    found.items = edited(base->items, found.items);
  }
  const bool names_nothing = std::ranges::any_of(found.items, [&](const StateNode::Item& item) {
    return item.value == 0 || (found.level > 0 && item.value >= node);
  });
  if (found.items.empty() || names_nothing) return damaged();
  return std::move(found);
}

Result<StateNodePtr> StateNodes::load(uint64_t node) const {
  if (overlay_ != nullptr && !overlay_->empty()) {
    if (const auto found = overlay_->find(node); found != overlay_->end()) return found->second;
  }
  if (StateNodePtr found = cache_.find(room_, node)) return found;
  POLDER_TRY(StateNode read, this->read(node));
  auto content = std::make_shared<const StateNode>(std::move(read));
  keep_node(cache_, room_, node, content);
  return StateNodePtr(content);
}

}  // namespace polder::stores
