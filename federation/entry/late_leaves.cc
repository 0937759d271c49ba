#include "federation/entry/late_leaves.h"

#include <algorithm>

namespace polder::entry {
namespace {

constexpr size_t kShard = 0;
constexpr size_t kWaitingMax = 10'000;
constexpr Millis kLook{5'000};         // how often it is seen whether a server may be asked
constexpr Millis kPauseFirst{60'000};  // after a try that a server answered, but not well
constexpr Millis kPauseLongest{3'600'000};
constexpr int64_t kLongestMs = 7 * 24 * 3600 * 1000LL;

}  // namespace

Status LateLeaves::start() {
  POLDER_TRY(auto leaves, stores::read_late_leaves(*rooms_.database.snapshot()));
  for (stores::LateLeave& leave : leaves)
    begin(std::move(leave));
  return {};
}

Task<Status> LateLeaves::keep(stores::LateLeave leave) {
  auto make = [this, leave = std::move(leave)]() { return keep_here(leave); };
  co_return co_await runtime::on_shard(runtime(), kShard, std::move(make));
}

Task<Status> LateLeaves::keep_here(stores::LateLeave leave) {
  if (waiting_.size() >= kWaitingMax)
    co_return fail(ErrorCode::kRateLimited, "too many servers are to be told of leaves");
  kv::Batch batch;
  stores::put_late_leave(batch, leave);
  POLDER_CO_CHECK(co_await rooms_.committer.commit(std::move(batch)));
  begin(std::move(leave));
  co_return Status();
}

void LateLeaves::begin(stores::LateLeave leave) {
  if (!waiting_.emplace(leave.user, leave.room).second) return;
  runtime::spawn(runtime(), runtime().shard(kShard), "late leave", retry(std::move(leave)));
}

// The soonest of its servers.
Millis LateLeaves::until_asked(const stores::LateLeave& leave) const {
  Millis wait = Millis::max();
  for (const ServerName& server : leave.servers)
    wait = std::min(wait, federation_.back_off(server));
  return wait;
}

Task<void> LateLeaves::retry(stores::LateLeave leave) {
  Millis pause = kPauseFirst;
  for (;;) {
    while (until_asked(leave) > Millis(0))
      co_await runtime::sleep_for(runtime(), kLook);
    const Status told = co_await retry_(leave);
    const bool expired = runtime().clock().wall_ms() - leave.since_ms > kLongestMs;
    if (told.ok()) break;
    runtime().jobs().failed("late leave", told.error(), runtime().clock().wall_ms());
    if (!is_temporary(told.error()) || expired) {
      runtime().log().warning("leave_not_told",
                              {{"room", leave.room}, {"reason", told.error().message}});
      break;
    }
    if (until_asked(leave) > Millis(0)) continue;
    co_await runtime::sleep_for(runtime(), pause);
    pause = std::min(pause * 2, kPauseLongest);
  }
  waiting_.erase({leave.user, leave.room});
  kv::Batch batch;
  stores::erase_late_leave(batch, leave);
  rooms_.committer.enqueue(std::move(batch), kv::Durability::kLazy, [](const auto&) {});
}

}  // namespace polder::entry
