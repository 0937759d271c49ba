#include <boost/asio/co_spawn.hpp>
#include <cstdlib>

#include "homeserver/base/runtime/runtime.h"

namespace polder::runtime {
namespace internal {

boost::asio::execution_context::id ParkingLot::id;

void ParkingLot::park(std::shared_ptr<Parked> task) {
  const std::lock_guard lock(mutex_);
  tasks_.insert(std::move(task));
}

void ParkingLot::leave(const std::shared_ptr<Parked>& task) {
  const std::lock_guard lock(mutex_);
  tasks_.erase(task);
}

void ParkingLot::shutdown() noexcept {
  std::unordered_set<std::shared_ptr<Parked>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  tasks.clear();  // outside the lock: a task's end may wake another
}

ParkingLot& parking_lot(const Executor& executor) {
  return boost::asio::use_service<ParkingLot>(
      boost::asio::query(executor, boost::asio::execution::context));
}

void wake(const Executor& home, const std::weak_ptr<Parked>& weak) {
  auto task = weak.lock();
  if (!task) return;
  boost::asio::post(home, [home, task = std::move(task)]() mutable {
    parking_lot(home).leave(task);
    task->resume();
  });
}

}  // namespace internal

namespace {

Task<Status> without_failures(Task<void> task) {
  co_await std::move(task);
  co_return Status();
}

void ended(Runtime& runtime, const std::string& name, const Status& how) {
  runtime.jobs().ended(name, how, runtime.clock().wall_ms());
  if (!how.ok())
    runtime.log().warning("job_failed", {{"job", name}, {"reason", how.error().message}});
}

[[noreturn]] void die_of(Runtime& runtime, const std::string& name, const std::exception_ptr& bug) {
  try {
    std::rethrow_exception(bug);
  } catch (const std::exception& what) {
    runtime.log().error("bug", {{"task", name}, {"what", what.what()}});
  } catch (...) {
    runtime.log().error("bug", {{"task", name}});
  }
  std::abort();
}

}  // namespace

void spawn(Runtime& runtime, Executor executor, std::string_view name, Task<Status> task) {
  runtime.jobs().began(name);
  boost::asio::co_spawn(
      executor, std::move(task),
      [&runtime, name = std::string(name)](const std::exception_ptr& bug, const Status& how) {
        if (bug) die_of(runtime, name, bug);
        ended(runtime, name, how);
      });
}

void spawn(Runtime& runtime, Executor executor, std::string_view name, Task<void> task) {
  spawn(runtime, std::move(executor), name, without_failures(std::move(task)));
}

Task<void> sleep_for(Runtime& runtime, Millis delay) {
  std::shared_ptr<std::unique_ptr<Timer>> timer = std::make_shared<std::unique_ptr<Timer>>();
  auto start = [&runtime, timer, delay](std::function<void()> resume) {
    *timer = runtime.after(delay, std::move(resume));
  };
  co_await internal::suspend(std::move(start));
}

}  // namespace polder::runtime
