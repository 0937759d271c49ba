// A database in memory, for simulation and the thread sanitizer. What it would have on disk lives
// in a MemoryDisk apart from it, so that a test can crash it, cut its power, and open it again.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "homeserver/base/values/mutex.h"
#include "storage/kv/kv.h"

namespace polder::kv {

// The disk under memory databases: groups in the order of their writes. Thread-safe.
class MemoryDisk {
 public:
  // Forgets the groups that were not synced, but for a prefix of `keep` of them.
  void power_loss(size_t keep = 0);
  size_t unsynced() const;
  // From the n-th write from now on (1 is the next), writes fail and change nothing, until
  // repair().
  void fail_after(size_t writes);
  bool failing() const;
  void repair();

 private:
  friend class MemoryDatabase;
  struct Group {
    LogGroup log;
    bool synced = false;
  };
  Status add(Group group);

  mutable base::Mutex mutex_;
  std::vector<Group> groups_ GUARDED_BY(mutex_);
  size_t writes_until_failure_ GUARDED_BY(mutex_) = ~size_t{0};
};

// The disk outlives the database; one database at a time.
std::unique_ptr<Database> open_memory(std::span<const ColumnSpec> columns, MemoryDisk& disk);

}  // namespace polder::kv
