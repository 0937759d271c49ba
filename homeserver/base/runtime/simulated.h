// A runtime that is a function of its seed: one thread, virtual time, and an order of everything
// that could run at once which the seed decides. Pool work runs as one more step of the same
// thread.
#pragma once

#include <memory>

#include "homeserver/base/runtime/runtime.h"

namespace polder::runtime {

class Simulation;

// The machine: several runtimes (one per simulated homeserver) share its time and randomness.
class Simulation {
 public:
  static std::unique_ptr<Simulation> create(uint64_t seed);
  virtual ~Simulation() = default;

  // One homeserver's runtime, with one shard. The log's lines enter the trace hash. Who uses the
  // disk on its shard, or with a lock held, ends the process, which says what was used.
  virtual std::unique_ptr<Runtime> add_runtime(std::string_view name) = 0;
  // A crash: whatever the runtime had pending never runs; its suspended tasks are destroyed, while
  // the services which they refer to still live. Those die next, then the runtime object.
  virtual void crash(Runtime& runtime) = 0;

  // Runs steps until nothing is left to run before `until`, then sets the time to it.
  virtual void run_for(Millis duration) = 0;
  // Runs until done() or the virtual time limit; false if the limit came first.
  virtual bool run_until(const std::function<bool()>& done, Millis limit) = 0;

  // Calls back outside any runtime (the network between them, the test itself) after a delay.
  virtual void after(Millis delay, std::function<void()> callback) = 0;
  virtual Random& random() = 0;
  virtual const Clock& clock() const = 0;
  // Folds a word of what happened into the trace; equal seeds give equal hashes.
  virtual void trace(std::string_view what) = 0;
  virtual uint64_t trace_hash() const = 0;
  // Is told all that is traced; for people who look for what went wrong.
  virtual void watch(std::function<void(std::string_view)> watcher) = 0;
};

}  // namespace polder::runtime
