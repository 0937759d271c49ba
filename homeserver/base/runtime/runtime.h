// Where code runs and what time it is. There are two implementations: threads (threads.h) and a
// simulation on one thread that is a function of its seed (simulated.h).
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string_view>

#include "homeserver/base/metrics/metrics.h"
#include "homeserver/base/runtime/disk_misuses.h"
#include "homeserver/base/runtime/jobs.h"
#include "homeserver/base/runtime/task.h"
#include "homeserver/base/values/environment.h"

namespace polder::runtime {

// A timer that was set; forgetting it does not stop it. Used on the thread that set it.
class Timer {
 public:
  virtual ~Timer() = default;
  virtual void cancel() = 0;  // the callback will not run; no effect if it already has
};

// What is run beside the shards, each in a queue and on threads of its own, so that none starves
// another.
enum class Lane : uint8_t {
  kRead,    // reads of the disk for somebody who waits
  kShort,   // changes: turns of rooms and users, signatures; some milliseconds at most
  kLong,    // passwords, images, large states, sweeps: what may keep a core busy
  kCommit,  // the committer's own: writing and syncing groups
};
inline constexpr size_t kLanes = 4;

// Thread-safe, but where said otherwise. Outlives all tasks.
class Runtime {
 public:
  virtual ~Runtime() = default;

  virtual size_t shard_count() const = 0;
  virtual Executor shard(size_t index) = 0;
  // Index of the shard whose thread calls; kNoShard on any other thread.
  static constexpr size_t kNoShard = ~size_t{0};
  virtual size_t current_shard() const = 0;

  // Runs work that may block on a thread of the lane. Never waits: what causes work is bounded at
  // the door (backlog()). Work of a lane does not wait for other work of it.
  virtual void post_to_pool(Lane lane, std::function<void()> work) = 0;
  // How much waits for a thread of the lane. Who takes in new requests looks here first.
  virtual size_t backlog(Lane lane) const = 0;

  // How long work waited for a thread of the lane.
  const metrics::Histogram& waits(Lane lane) const { return waits_[static_cast<size_t>(lane)]; }

  // Where the disk was used on a shard, or with a lock held.
  virtual const DiskMisuses& disk_misuses() const = 0;

  // Runs the callback on the calling shard after the delay. Called on a shard only.
  virtual std::unique_ptr<Timer> after(Millis delay, std::function<void()> callback) = 0;

  virtual const Clock& clock() const = 0;
  virtual Random& random() = 0;
  virtual Log& log() = 0;

  Jobs& jobs() { return jobs_; }

 protected:
  metrics::Histogram& waits(Lane lane) { return waits_[static_cast<size_t>(lane)]; }

 private:
  Jobs jobs_;
  std::array<metrics::Histogram, kLanes> waits_;
};

// Runs f() on the lane and resumes the caller on its own shard with the result. Not cancelled.
//   auto rows = co_await on_pool(runtime, [=, &store] { return store.read(room); });
template <class F>
Task<std::invoke_result_t<F>> on_pool(Runtime& runtime, Lane lane, F f);
template <class F>
Task<std::invoke_result_t<F>> on_pool(Runtime& runtime, F f) {
  return on_pool(runtime, Lane::kRead, std::move(f));
}

// Runs make() - which returns a Task<T> - to its end on another shard, and resumes the caller on
// its own.
template <class F>
auto on_shard(Runtime& runtime, size_t shard, F make) -> std::invoke_result_t<F>;

// Starts a task that nobody waits for: a job of that name (jobs.h), which is logged and counted if
// it fails. An exception that escapes it is a bug: logged, then the process ends.
void spawn(Runtime& runtime, Executor executor, std::string_view name, Task<void> task);
void spawn(Runtime& runtime, Executor executor, std::string_view name, Task<Status> task);

// Waits on the calling shard.
Task<void> sleep_for(Runtime& runtime, Millis delay);
// The same of a job that can be stopped: false, within seconds, once it is asked to (jobs.h).
Task<bool> sleep_unless_stopped(Runtime& runtime, std::string job, Millis delay);

}  // namespace polder::runtime

#include "homeserver/base/runtime/hops.h"  // the definitions of the templates above
