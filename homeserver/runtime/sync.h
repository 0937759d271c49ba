// What tasks of one shard wait for. None of it is thread-safe: it belongs to one shard.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>

#include "homeserver/runtime/runtime.h"

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
