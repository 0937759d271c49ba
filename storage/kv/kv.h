// An ordered key-value store with columns, atomic batches, snapshots and positions. Two
// implementations pass one suite: RocksDB (rocks.h) and memory with crash points (memory.h).
//
// Positions (docs/architecture.md, decision 6): a batch reserves slots while it is built; the
// committer (committer.h) gives consecutive numbers to the slots of all batches in commit order and
// writes them, big-endian, where the batch refers to them. Readers read up to `visible`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/values/result.h"

namespace polder::kv {

using Position = uint64_t;
inline constexpr Position kLastPosition = ~Position{0} - 1;  // beyond every one that is given
using ColumnId = uint8_t;  // index into the columns that the database was opened with

// How a column is used, which decides its block size, filters and compression.
enum class Access : uint8_t {
  kPoint,  // single keys: small blocks, bloom filter
  kScan,   // ranges in key order: larger blocks, compressed
};

struct ColumnSpec {
  std::string_view name;     // on disk; never reused for another meaning
  std::string_view purpose;  // for docs/formats
  Access access = Access::kPoint;
};

// When a write counts as done (docs/architecture.md, decision 5).
enum class Durability : uint8_t {
  kDurable,  // after its sync
  kLazy,     // goes with the next group and its sync, within a second; nobody waits for it
};

// Names a position that will be known only at commit.
struct PositionSlot {
  uint32_t index = 0;  // within its batch
};

// Changes that happen together or not at all, in the order in which they were added. A value type,
// moved into the committer. Keys and values may have a position slot's 8 bytes inside.
class Batch {
 public:
  PositionSlot reserve_position();
  size_t position_count() const { return positions_; }

  void put(ColumnId column, std::string_view key, std::string_view value);
  void erase(ColumnId column, std::string_view key);
  void erase_range(ColumnId column, std::string_view from, std::string_view to);  // [from, to)

  // A key or value of which some 8-byte runs are positions to be filled in: at each offset into the
  // string, the slot whose number goes there. The bytes there are ignored.
  struct Patch {
    size_t offset = 0;
    PositionSlot slot;
  };
  void put(ColumnId column, std::string_view key, std::span<const Patch> key_patches,
           std::string_view value, std::span<const Patch> value_patches);

  // Appends the other's changes and slots after one's own; returns by how much its slots moved.
  uint32_t append(const Batch& other);

  bool empty() const { return ops_.empty(); }
  size_t bytes() const { return data_.size(); }

  // For the implementations.
  enum class OpKind : uint8_t { kPut, kErase, kEraseRange };
  struct Op {
    OpKind kind;
    ColumnId column;
    uint32_t key_offset, key_size;      // into data()
    uint32_t value_offset, value_size;  // value, or the end of the range
  };
  std::span<const Op> ops() const { return ops_; }
  std::string_view key(const Op& op) const {
    return std::string_view(data_).substr(op.key_offset, op.key_size);
  }
  std::string_view value(const Op& op) const {
    return std::string_view(data_).substr(op.value_offset, op.value_size);
  }
  // Writes first, first + 1, ... into the places of the slots.
  void fill_positions(Position first);

 private:
  struct Hole {
    uint32_t offset;  // into data_
    uint32_t slot;
  };
  uint32_t append_bytes(std::string_view bytes, std::span<const Patch> patches);

  std::vector<Op> ops_;
  std::vector<Hole> holes_;
  std::string data_;
  uint32_t positions_ = 0;
};

// A walk over a range of keys in order. Holds its snapshot; used by one thread at a time.
class Iterator {
 public:
  virtual ~Iterator() = default;
  virtual bool valid() const = 0;
  virtual void next() = 0;
  virtual void prev() = 0;
  virtual void seek(std::string_view key) = 0;           // first key >= key, within the range
  virtual void seek_for_prev(std::string_view key) = 0;  // last key <= key, within the range
  virtual void seek_to_first() = 0;
  virtual void seek_to_last() = 0;
  virtual std::string_view key() const = 0;    // until the next move
  virtual std::string_view value() const = 0;  // until the next move
  virtual Status status() const = 0;           // ask once it is no longer valid()
};

struct Range {
  std::string from;  // inclusive
  std::string to;    // exclusive; empty: to the column's end
};
// All keys that begin with the prefix.
Range prefix_range(std::string_view prefix);

// What was written when it was made. Thread-safe. Kept for one request, never across a network
// wait.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  virtual Result<std::optional<std::string>> get(ColumnId column, std::string_view key) const = 0;
  // Values in the order of the keys.
  virtual Result<std::vector<std::optional<std::string>>> multi_get(
      ColumnId column, std::span<const std::string> keys) const = 0;
  // Not yet at any key. The range is copied.
  virtual std::unique_ptr<Iterator> iterate(ColumnId column, Range range) const = 0;
};

// A group as the write log has it.
struct LogGroup {
  Position first = 0;      // of the group's positions
  uint32_t positions = 0;  // how many
  uint64_t sequence = 0;   // of the store's own log, ascending
  Batch batch;             // positions filled in
};

// A size or count that a store knows of itself.
struct StoreFigure {
  std::string_view name;  // as in polder_store_<name>
  std::string_view help;
  double value = 0;
};

// Thread-safe.
class Database {
 public:
  virtual ~Database() = default;

  virtual std::shared_ptr<const Snapshot> snapshot() const = 0;

  // Writes batches, with their positions filled in, as one atomic group; with sync, it is on disk
  // when this returns. Only the committer calls this. After a failure the database is read-only
  // until resume(), and every write fails with kReadOnly.
  virtual Status write(std::span<const Batch* const> batches, Position first, bool sync) = 0;
  virtual bool read_only() const = 0;
  // After the cause is gone. Fails where only opening anew tells what is on disk: RocksDB after a
  // failure of its write log.
  virtual Status resume() = 0;

  // The last position that was written, as found at opening: where the committer goes on.
  virtual Position last_position() const = 0;

  // The sequenced log from a sequence number on, oldest first, until `visit` says false. kNotFound
  // if the log no longer reaches back that far.
  virtual Status read_log(uint64_t from_sequence,
                          const std::function<bool(const LogGroup&)>& visit) const = 0;
  virtual uint64_t last_sequence() const = 0;

  virtual Status flush() = 0;
  virtual Status compact() = 0;  // everything, to the bottom level: for tools and measurements
  // Gives back the disk of what was erased in a range. Writers are not held up.
  virtual Status compact(ColumnId column, const Range& range) = 0;
  virtual Result<uint64_t> disk_bytes() const = 0;
  virtual Status checkpoint(
      const std::string& directory) = 0;  // an openable copy; the directory must not exist
  // What can be looked up without reading the disk.
  virtual std::vector<StoreFigure> figures() const { return {}; }
  virtual Status close() = 0;  // no snapshot or iterator is left
};

}  // namespace polder::kv
