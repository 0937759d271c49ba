// The one writer of a database: merges the batches that arrive while the previous group is being
// synced into the next group, gives positions in commit order, and publishes `visible` after the
// sync.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "homeserver/base/metrics/metrics.h"
#include "homeserver/base/runtime/runtime.h"
#include "storage/kv/kv.h"

namespace polder::kv {

// What a batch became. Slot i of the batch has position first + i.
struct Committed {
  Position first = 0;
  Position at(PositionSlot slot) const { return first + slot.index; }
};

struct CommitterOptions {
  size_t group_bytes_max = 16 << 20;
  size_t queue_bytes_max = 256 << 20;  // beyond, commit() fails with kRateLimited
};

// What it has done so far.
struct CommitterStats {
  metrics::Counter groups, batches, bytes, failed_groups;
  metrics::Histogram write_time;  // of a group, its sync included
};

// Thread-safe. Outlives every task that commits.
class Committer {
 public:
  // With a runtime of threads it has a thread of its own; in a simulation, steps.
  static std::unique_ptr<Committer> create(runtime::Runtime& runtime, Database& database,
                                           const CommitterOptions& options = {});
  virtual ~Committer() = default;

  // Takes the batch's place in the order now (batches of one caller are committed in the order of
  // its calls), and calls back once it is on disk and `visible` includes it, on the shard that
  // called (or, from no shard, on the committer's thread). With kLazy the call back comes with the
  // next group; an idle committer writes lazy batches after a second at most.
  using Done = std::function<void(Result<Committed>)>;
  // Called on the committer's thread once the batch is on disk, before `visible` includes it: for
  // tables in memory that readers compare with positions. Must be quick.
  using BeforeVisible = std::function<void(Committed)>;
  // False if it was refused, which the call back says too: nothing that builds on it may follow.
  virtual bool enqueue(Batch batch, Durability durability, Done done,
                       BeforeVisible before_visible = {}) = 0;
  Task<Result<Committed>> commit(Batch batch, Durability durability = Durability::kDurable,
                                 BeforeVisible before_visible = {});
  // From a thread that is no shard: tools and tests. Blocks.
  Result<Committed> commit_and_wait(Batch batch);

  // Every position up to here is on disk and readable in a new snapshot.
  virtual Position visible() const = 0;
  // Called on the committer's thread after each step of `visible`, in order; must be quick (post
  // elsewhere). Registered before the first commit.
  virtual void on_visible(std::function<void(Position)> observer) = 0;

  // Called on the committer's thread with the batches of a group, their positions filled in, once
  // `visible` includes them and their callers are on their way to be answered; must be quick.
  // Registered before the first commit.
  using CommitObserver = std::function<void(std::span<const Batch* const>)>;
  virtual void on_committed(CommitObserver observer) = 0;

  // Commits what is queued, then refuses.
  virtual void stop() = 0;

  virtual size_t queued_bytes() const = 0;
  const CommitterStats& stats() const { return stats_; }

 protected:
  CommitterStats stats_;
};

}  // namespace polder::kv
