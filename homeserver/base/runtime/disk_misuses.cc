#include "homeserver/base/runtime/disk_misuses.h"

namespace polder::runtime {

void DiskMisuses::disk_misused(base::ThreadRole role, std::string_view what) {
  const bool on_shard = role == base::ThreadRole::kAnswers;
  (on_shard ? on_shards_ : under_locks_).add();
  {
    const base::Lock lock(mutex_);
    if (!told_.emplace((on_shard ? "on a shard: " : "under a lock: ") + std::string(what)).second)
      return;
  }
  log_.warning("disk_misused", {{"where", on_shard ? "shard" : "lock"}, {"what", what}});
}

}  // namespace polder::runtime
