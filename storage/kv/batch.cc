#include <cstdlib>
#include <limits>

#include "storage/kv/kv.h"

namespace polder::kv {
namespace {

constexpr size_t kPositionBytes = 8;

uint32_t checked_size(size_t size) {
  if (size > std::numeric_limits<uint32_t>::max()) std::abort();  // a batch is bounded by its maker
  return static_cast<uint32_t>(size);
}

}  // namespace

PositionSlot Batch::reserve_position() {
  return PositionSlot{positions_++};
}

uint32_t Batch::append_bytes(std::string_view bytes, std::span<const Patch> patches) {
  const uint32_t offset = checked_size(data_.size());
  checked_size(data_.size() + bytes.size());
  data_.append(bytes);
  for (const Patch& patch : patches) {
    if (patch.offset + kPositionBytes > bytes.size() || patch.slot.index >= positions_)
      std::abort();
    holes_.push_back({checked_size(offset + patch.offset), patch.slot.index});
  }
  return offset;
}

void Batch::put(ColumnId column, std::string_view key, std::string_view value) {
  put(column, key, {}, value, {});
}

void Batch::put(ColumnId column, std::string_view key, std::span<const Patch> key_patches,
                std::string_view value, std::span<const Patch> value_patches) {
  const uint32_t key_offset = append_bytes(key, key_patches);
  const uint32_t value_offset = append_bytes(value, value_patches);
  ops_.push_back({OpKind::kPut, column, key_offset, checked_size(key.size()), value_offset,
                  checked_size(value.size())});
}

void Batch::erase(ColumnId column, std::string_view key) {
  const uint32_t offset = append_bytes(key, {});
  ops_.push_back({OpKind::kErase, column, offset, checked_size(key.size()), offset, 0});
}

void Batch::erase_range(ColumnId column, std::string_view from, std::string_view to) {
  const uint32_t from_offset = append_bytes(from, {});
  const uint32_t to_offset = append_bytes(to, {});
  ops_.push_back({OpKind::kEraseRange, column, from_offset, checked_size(from.size()), to_offset,
                  checked_size(to.size())});
}

uint32_t Batch::append(const Batch& other) {
  const uint32_t moved = positions_;
  const uint32_t base = append_bytes(other.data_, {});
  for (Op op : other.ops_) {
    op.key_offset += base;
    op.value_offset += base;
    ops_.push_back(op);
  }
  for (const Hole& hole : other.holes_)
    holes_.push_back({hole.offset + base, hole.slot + moved});
  positions_ += other.positions_;
  return moved;
}

void Batch::fill_positions(Position first) {
  for (const Hole& hole : holes_) {
    const Position position = first + hole.slot;
    for (size_t i = 0; i < kPositionBytes; ++i) {
      data_[hole.offset + i] = static_cast<char>(position >> (56 - 8 * i) & 255);
    }
  }
}

Range prefix_range(std::string_view prefix) {
  Range range{std::string(prefix), std::string(prefix)};
  // The first key after all with the prefix: its last byte that can grow, grown.
  while (!range.to.empty() && range.to.back() == '\xff')
    range.to.pop_back();
  if (!range.to.empty()) ++range.to.back();
  return range;
}

}  // namespace polder::kv
