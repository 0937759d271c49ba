// How often the disk was used where nobody may wait for it.
#pragma once

#include <set>
#include <string>

#include "homeserver/base/metrics/metrics.h"
#include "homeserver/base/values/disk.h"
#include "homeserver/base/values/environment.h"
#include "homeserver/base/values/mutex.h"

namespace polder::runtime {

// Counts, and says it once of each kind. Thread-safe.
class DiskMisuses final : public base::DiskWatch {
 public:
  explicit DiskMisuses(Log& log) : log_(log) {}

  void disk_misused(base::ThreadRole role, std::string_view what) override;

  uint64_t on_shards() const { return on_shards_.value(); }
  uint64_t under_locks() const { return under_locks_.value(); }

 private:
  Log& log_;
  metrics::Counter on_shards_, under_locks_;
  base::Mutex mutex_;
  std::set<std::string, std::less<>> told_ GUARDED_BY(mutex_);
};

}  // namespace polder::runtime
