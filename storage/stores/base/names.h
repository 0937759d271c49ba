// Interned names: users, servers, rooms, event types and state keys are strings on the wire and
// numbers on disk (docs/architecture.md, decision 7). This is the one place that hands out numbers.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/metrics/cache.h"
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

// Thread-safe. The tables in memory are in parts with a mutex each, and none is held while the disk
// is read.
class Names {
 public:
  // Reads the highest numbers in use. The database outlives it. Of each kind so many names are held
  // in memory, besides those that are not durable.
  static Result<std::unique_ptr<Names>> open(const kv::Database& database,
                                             size_t cached_max = kCachedNames);
  ~Names();

  // The number of a name, or nothing if it has none. May read the disk.
  Result<std::optional<uint64_t>> find(NameKind kind, std::string_view name) const;
  // The same, if it is in memory: nothing if the name has none, and if find() has to look.
  std::optional<uint64_t> known(NameKind kind, std::string_view name) const;
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
  // Of what is held in memory of a kind, in both directions.
  metrics::CacheFigures figures(NameKind kind) const;
  // Checks that both directions agree for every mapping (polder check).
  static Status check(const kv::Snapshot& snapshot);

 private:
  static constexpr size_t kCachedNames = 200'000;
  struct Table;

  Names(const kv::Database& database, size_t cached_max);
  Table& table(NameKind kind) const { return *tables_[static_cast<size_t>(kind)]; }

  const kv::Database& database_;
  std::array<std::unique_ptr<Table>, kNameKinds> tables_;
};

}  // namespace polder::stores
