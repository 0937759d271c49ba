// What tasks of one shard wait for. None of it is thread-safe: it belongs to one shard.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "homeserver/base/runtime/runtime.h"

namespace polder::runtime {

// Tasks wait until somebody notifies. There is no memory: a notification wakes who waits now.
class Signal {
 public:
  explicit Signal(Runtime& runtime) : runtime_(runtime) {}
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  ~Signal();

  // True if notified, false if the time passed first.
  Task<bool> wait_for(Millis timeout);
  Task<void> wait();
  void notify_all();  // resumes the waiters from the shard's queue, not within this call
  size_t waiting() const;

 private:
  struct Waiter;
  Runtime& runtime_;
  std::list<std::shared_ptr<Waiter>> waiters_;
};

// Turns in order of arrival: the unit of order for a room or a user (docs/architecture.md, decision
// 3).
//   auto turn = co_await queue.turn();   // released when `turn` dies
class SerialQueue {
 public:
  explicit SerialQueue(Runtime& runtime) : runtime_(runtime) {}

  class Turn {
   public:
    explicit Turn(SerialQueue* queue) : queue_(queue) {}
    Turn(Turn&& other) noexcept : queue_(std::exchange(other.queue_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (queue_ != nullptr) queue_->release();
    }

   private:
    SerialQueue* queue_;
  };

  Task<Turn> turn();
  bool idle() const { return !busy_ && waiting_ == 0; }
  size_t waiting() const { return waiting_; }

 private:
  void release();

  Runtime& runtime_;
  std::deque<std::unique_ptr<Signal>> line_;  // one per waiter, in order of arrival
  bool busy_ = false;
  size_t waiting_ = 0;
};

// What is done for one key (a user, an alias) is done one after the other, on the shard of the key;
// different keys do not wait for each other. A queue lives while somebody has its turn or waits for
// it. Thread-safe.
class KeyedQueues {
 public:
  explicit KeyedQueues(Runtime& runtime) : runtime_(runtime), queues_(runtime.shard_count()) {}

  // What make's task gives, run in the turn of the key.
  template <class F>
  auto in_turn(uint64_t key, F make) -> std::invoke_result_t<F>;
  size_t size() const;  // of this shard

 private:
  template <class F>
  auto in_turn_here(uint64_t key, F make) -> std::invoke_result_t<F>;

  Runtime& runtime_;
  std::vector<std::unordered_map<uint64_t, SerialQueue>> queues_;  // by shard, touched only there
};

template <class F>
auto KeyedQueues::in_turn_here(uint64_t key, F make) -> std::invoke_result_t<F> {
  auto& queues = queues_[runtime_.current_shard()];
  SerialQueue& queue = queues.try_emplace(key, runtime_).first->second;
  std::optional<typename std::invoke_result_t<F>::value_type> result;
  {
    const auto turn = co_await queue.turn();
    result.emplace(co_await make());
  }
  if (queue.idle()) queues.erase(key);
  co_return *std::move(result);
}

template <class F>
auto KeyedQueues::in_turn(uint64_t key, F make) -> std::invoke_result_t<F> {
  auto here = [this, key, make = std::move(make)] { return in_turn_here(key, make); };
  return on_shard(runtime_, key % runtime_.shard_count(), std::move(here));
}

// Counts the tasks that it started, so that an owner can wait for all of them before it dies.
class TaskGroup {
 public:
  explicit TaskGroup(Runtime& runtime) : runtime_(runtime), done_(runtime) {}
  ~TaskGroup();  // all tasks have ended, or their shard will never run again

  void spawn(Executor executor, std::string_view name, Task<void> task);  // executor: this shard's
  Task<void> wait_all();
  size_t running() const { return running_; }

 private:
  Runtime& runtime_;
  Signal done_;
  size_t running_ = 0;
};

}  // namespace polder::runtime
