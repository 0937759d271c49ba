// Interned names: users, servers, rooms, event types and state keys are strings on the wire and
// numbers on disk (docs/architecture.md, decision 7). This is the one place that hands out numbers.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "homeserver/base/values/result.h"
#include "storage/kv/kv.h"

namespace polder::stores {

using RoomNumber = uint64_t;
using UserNumber = uint64_t;
using ServerNumber = uint64_t;
using EventNumber = uint64_t;  // within a room, from 1

enum class NameKind : uint8_t { kUser = 1, kServer = 2, kRoom = 3, kType = 4, kStateKey = 5 };
inline constexpr size_t kNameKinds = 6;  // index 0 is not used

// The mappings that a batch wrote and that were not known to be durable. Handed to
// Names::committed() once that batch is.
class NewNames {
 public:
  bool empty() const { return entries_.empty(); }

 private:
  friend class Names;
  std::vector<std::pair<NameKind, std::string>> entries_;
};

// Thread-safe.
class Names {
 public:
  // Reads the highest numbers in use. The database outlives it.
  static Result<std::unique_ptr<Names>> open(const kv::Database& database);

  // The number of a name, or nothing if it has none. May read the disk.
  Result<std::optional<uint64_t>> find(NameKind kind, std::string_view name) const;
  // The number of a name, given now if it had none. Until the mapping is durable, it is written
  // into the batch, so that whichever batch comes first makes it durable. May read the disk.
  Result<uint64_t> intern(NameKind kind, std::string_view name, kv::Batch& batch,
                          NewNames& written);
  void committed(const NewNames& names);
  // The name of a number that something durable, or something of this process, refers to. kCorrupt
  // if none.
  Result<std::string> name(NameKind kind, uint64_t number) const;

  // The number of a name in a snapshot; 0 if it has none.
  static Result<uint64_t> find_in(const kv::Snapshot& snapshot, NameKind kind,
                                  std::string_view name);
  // Checks that both directions agree for every mapping (polder check).
  static Status check(const kv::Snapshot& snapshot);

 private:
  struct Entry {
    uint64_t number = 0;
    bool durable = false;
  };
  struct Table {
    std::unordered_map<std::string, Entry> by_name;
    std::unordered_map<uint64_t, std::string> by_number;
    uint64_t next = 1;
  };

  explicit Names(const kv::Database& database) : database_(database) {}
  void remember(Table& table, std::string_view name, Entry entry) const;
  Result<std::optional<uint64_t>> find_locked(NameKind kind, std::string_view name) const;

  const kv::Database& database_;
  mutable std::mutex mutex_;
  mutable std::array<Table, kNameKinds>
      tables_;  // caches; entries that are not durable are always there
};

}  // namespace polder::stores
