#include "homeserver/base/runtime/sync.h"

#include <boost/asio/co_spawn.hpp>
#include <cstdlib>

namespace polder::runtime {

struct Signal::Waiter {
  std::function<void()> resume;
  std::unique_ptr<Timer> timer;
  bool notified = false;
  bool resumed = false;

  void finish(bool by_notification) {
    if (std::exchange(resumed, true)) return;
    notified = by_notification;
    if (timer) timer->cancel();
    resume();  // posts; does not run the task here
  }
};

Signal::~Signal() {
  // Frames that the end of the program destroys while they wait leave their entries behind.
  waiters_.clear();
}

Task<bool> Signal::wait_for(Millis timeout) {
  auto waiter = std::make_shared<Waiter>();
  auto start = [this, waiter, timeout](std::function<void()> resume) {
    waiter->resume = std::move(resume);
    waiters_.push_back(waiter);
    const auto place = std::prev(waiters_.end());
    if (timeout == Millis::max()) return;
    // The waiter owns the timer, so the timer must not own the waiter.
    waiter->timer = runtime_.after(timeout, [this, weak = std::weak_ptr(waiter), place] {
      const auto waiting = weak.lock();
      if (!waiting || waiting->resumed) return;
      waiters_.erase(place);
      waiting->finish(false);
    });
  };
  co_await internal::suspend(std::move(start));
  co_return waiter->notified;
}

Task<void> Signal::wait() {
  co_await wait_for(Millis::max());
}

void Signal::notify_all() {
  const auto waiters = std::exchange(waiters_, {});
  for (const auto& waiter : waiters)
    waiter->finish(true);
}

size_t Signal::waiting() const {
  return waiters_.size();
}

Task<SerialQueue::Turn> SerialQueue::turn() {
  if (busy_) {
    ++waiting_;
    auto signal = std::make_unique<Signal>(runtime_);
    Signal& mine = *signal;
    line_.push_back(std::move(signal));
    co_await mine.wait();
    // release() handed the turn over: busy_ stayed set.
    line_.pop_front();
    --waiting_;
  } else {
    busy_ = true;
  }
  co_return Turn(this);
}

void SerialQueue::release() {
  if (line_.empty()) {
    busy_ = false;
  } else {
    line_.front()->notify_all();
  }
}

size_t KeyedQueues::size() const {
  return queues_[runtime_.current_shard()].size();
}

TaskGroup::~TaskGroup() = default;

namespace {

Task<void> counted(Task<void> task, std::function<void()> ended) {
  co_await std::move(task);
  ended();
}

}  // namespace

void TaskGroup::spawn(Executor executor, std::string_view name, Task<void> task) {
  ++running_;
  runtime::spawn(runtime_, std::move(executor), name, counted(std::move(task), [this] {
                   if (--running_ == 0) done_.notify_all();
                 }));
}

Task<void> TaskGroup::wait_all() {
  while (running_ > 0)
    co_await done_.wait();
}

}  // namespace polder::runtime
