#include "homeserver/base/runtime/repeat.h"

namespace polder::runtime {
namespace {

constexpr Millis kAgainFirst{1000};
constexpr Millis kAgainLongest{300'000};

}  // namespace

Task<void> repeat(Runtime& runtime, std::string job, Millis pause,
                  std::function<Task<Status>()> pass) {
  runtime.jobs().can_stop(job);
  Millis again = kAgainFirst;
  Millis wait = pause;
  do {
    const Status done = co_await pass();
    if (done.ok()) {
      again = kAgainFirst;
      wait = pause;
      continue;
    }
    wait = std::exchange(again, std::min(again * 2, std::max(pause, kAgainLongest)));
    runtime.jobs().failed(job, done.error(), runtime.clock().wall_ms());
    runtime.log().warning(
        "job_failed",
        {{"job", job}, {"reason", done.error().message}, {"again_in_s", wait.count() / 1000}});
  } while (co_await sleep_unless_stopped(runtime, job, wait));
}

}  // namespace polder::runtime
