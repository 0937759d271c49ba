// Where code runs and what time it is. There are two implementations: threads (threads.h) and a
// simulation on one thread that is a function of its seed (simulated.h).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string_view>

#include "homeserver/base/runtime/task.h"
#include "homeserver/base/values/environment.h"

namespace polder::runtime {

// A timer that was set; forgetting it does not stop it. Used on the thread that set it.
class Timer {
 public:
  virtual ~Timer() = default;
  virtual void cancel() = 0;  // the callback will not run; no effect if it already has
};

// Thread-safe, but where said otherwise. Outlives all tasks.
class Runtime {
 public:
  virtual ~Runtime() = default;

  virtual size_t shard_count() const = 0;
  virtual Executor shard(size_t index) = 0;
  // Index of the shard whose thread calls; kNoShard on any other thread.
  static constexpr size_t kNoShard = ~size_t{0};
  virtual size_t current_shard() const = 0;

  // Runs work that may block (disk reads, fsync, password hashes, image scaling) on a pool thread.
  // Bounded: the work waits in a queue. Never called from a pool thread to wait for another.
  virtual void post_to_pool(std::function<void()> work) = 0;

  // Runs the callback on the calling shard after the delay. Called on a shard only.
  virtual std::unique_ptr<Timer> after(Millis delay, std::function<void()> callback) = 0;

  virtual const Clock& clock() const = 0;
  virtual Random& random() = 0;
  virtual Log& log() = 0;
};

// Runs f() on the pool and resumes the caller on its own shard with the result. Not cancelled.
//   auto rows = co_await on_pool(runtime, [=, &store] { return store.read(room); });
template <class F>
Task<std::invoke_result_t<F>> on_pool(Runtime& runtime, F f);

// Runs make() - which returns a Task<T> - to its end on another shard, and resumes the caller on
// its own.
template <class F>
auto on_shard(Runtime& runtime, size_t shard, F make) -> std::invoke_result_t<F>;

// Starts a task that nobody waits for. An exception that escapes it is a bug: logged, then the
// process ends.
void spawn(Runtime& runtime, Executor executor, std::string_view name, Task<void> task);

// Waits on the calling shard.
Task<void> sleep_for(Runtime& runtime, Millis delay);

}  // namespace polder::runtime

#include "homeserver/base/runtime/hops.h"  // the definitions of the templates above
