// The real runtime: one thread and io_context per shard, and lanes for what may block.
#pragma once

#include <memory>

#include "homeserver/base/runtime/runtime.h"

namespace polder::runtime {

struct ThreadOptions {
  size_t shards = 1;
  size_t pool_threads = 4;  // of the lane of reads; the others have as many as there are shards
};

class Threads : public Runtime {
 public:
  // The three outlive the runtime. Shards do not run before run().
  static std::unique_ptr<Threads> create(const ThreadOptions& options, const Clock& clock,
                                         Random& random, Log& log);
  // Starts all threads; returns after stop(). By then all suspended tasks have been destroyed, so
  // that the services which they refer to can die next; executors of shards must not be used any
  // more.
  virtual void run() = 0;
  virtual void stop() = 0;  // from any thread; what was posted is not run
};

}  // namespace polder::runtime
