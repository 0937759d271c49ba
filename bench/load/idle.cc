#include <optional>

#include "bench/load/listeners.h"
#include "bench/load/workloads.h"
#include "homeserver/base/runtime/sync.h"

namespace polder::load {
namespace {

std::string text_of(size_t) {
  return "wake up";
}

class Silence {
 public:
  Silence(Stage& stage, Idle plan) : stage_(stage), plan_(plan) {}

  Task<Status> open() {
    POLDER_CO_TRY(const std::vector<Session> users,
                  co_await register_users(stage_, stage_.target, "idler", plan_.users));
    for (const Session& user : users)
      listeners_.push_back({.session = user});
    for (size_t i = 0; i < plan_.rooms; ++i) {
      POLDER_CO_TRY(listeners_[i].room, co_await listeners_[i].session.create_room());
    }
    co_await for_each(stage_.runtime, users.size() - plan_.rooms, kSetUpAtOnce,
                      [this](size_t i) { return enter(i + plan_.rooms); });
    co_await for_each(stage_.runtime, listeners_.size(), kSetUpAtOnce,
                      [this](size_t i) { return begin_to_listen(listeners_[i]); });
    co_return Status();
  }

  Task<Result<Report>> keep() {
    // Who wakes them is the last of the workers.
    co_await for_each(stage_.runtime, listeners_.size() + 1, listeners_.size() + 1,
                      [this](size_t i) { return i < listeners_.size() ? wait(i) : wake(); });
    co_return std::move(*report_);
  }

 private:
  Task<Status> enter(size_t i) {
    listeners_[i].room = listeners_[i % plan_.rooms].room;
    return listeners_[i].session.join(listeners_[i].room);
  }

  Task<Status> wait(size_t i) {
    return listen(listeners_[i], text_of, [this] {
      latencies_.push_back(stage_.now() - woken_);
      return false;
    });
  }

  Task<Status> wake() {
    co_await runtime::sleep_for(stage_.runtime, Millis(plan_.warm_up * 1000));
    POLDER_CO_TRY(Measurement measurement, Measurement::begin(stage_));
    co_await runtime::sleep_for(stage_.runtime, Millis(plan_.seconds * 1000));
    // What is counted is seconds of waiting.
    for (size_t i = 0; i < listeners_.size() * plan_.seconds; ++i)
      measurement.add({});
    POLDER_CO_TRY(report_, measurement.end(stage_, "idle", "seconds of waiting"));
    if (!latencies_.empty()) co_return fail(ErrorCode::kInternal, "heard what nobody had said");
    woken_ = stage_.now();
    for (size_t i = 0; i < plan_.rooms; ++i) {
      POLDER_CO_CHECK(co_await listeners_[i].session.send(listeners_[i].room, "wake", text_of(0)));
    }
    report_->checked = listeners_.size();
    co_return Status();
  }

  Stage& stage_;
  const Idle plan_;
  std::vector<Listener> listeners_;
  std::chrono::nanoseconds woken_{0};
  std::vector<std::chrono::nanoseconds> latencies_;
  std::optional<Report> report_;
};

}  // namespace

Reports measure_idle(Stage& stage, Idle plan) {
  plan.rooms = std::min(plan.rooms, plan.users);
  Silence silence(stage, plan);
  POLDER_CO_CHECK(co_await silence.open());
  POLDER_CO_TRY(Report report, co_await silence.keep());
  report.shape = {{"users", plan.users}, {"rooms", plan.rooms}};
  co_return std::vector<Report>(1, std::move(report));
}

}  // namespace polder::load
