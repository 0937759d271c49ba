#include <boost/asio/co_spawn.hpp>
#include <cstdlib>

#include "homeserver/base/runtime/runtime.h"

namespace polder::runtime {
namespace {

constexpr Millis kStopLook{10'000};

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
  runtime.jobs().began(name, runtime.clock().wall_ms());
  boost::asio::co_spawn(
      executor, std::move(task),
      [&runtime, name = std::string(name)](const std::exception_ptr& bug, const Status& how) {
        if (bug) die_of(runtime, name, bug);
        ended(runtime, name, how);
      });
}

void spawn(Runtime& runtime, Executor executor, std::string_view name, Task<void> task) {
  runtime.jobs().began(name, runtime.clock().wall_ms());
  boost::asio::co_spawn(executor, std::move(task),
                        [&runtime, name = std::string(name)](const std::exception_ptr& bug) {
                          if (bug) die_of(runtime, name, bug);
                          ended(runtime, name, Status());
                        });
}

Task<bool> sleep_unless_stopped(Runtime& runtime, std::string job, Millis delay) {
  const auto end = runtime.clock().steady() + delay;
  while (!runtime.jobs().stop_asked(job)) {
    const auto left = std::chrono::ceil<Millis>(end - runtime.clock().steady());
    if (left <= Millis(0)) co_return true;
    co_await sleep_for(runtime, std::min(left, kStopLook));
  }
  co_return false;
}

Task<void> sleep_for(Runtime& runtime, Millis delay) {
  std::shared_ptr<std::unique_ptr<Timer>> timer = std::make_shared<std::unique_ptr<Timer>>();
  auto start = [&runtime, timer, delay](std::function<void()> resume) {
    *timer = runtime.after(delay, std::move(resume));
  };
  co_await internal::suspend(std::move(start));
}

}  // namespace polder::runtime
