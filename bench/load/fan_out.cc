#include "bench/load/listeners.h"
#include "bench/load/workloads.h"
#include "homeserver/base/runtime/sync.h"

namespace polder::load {
namespace {

constexpr Millis kHeardWithin{60'000};  // by all, from when it was acknowledged

std::string text_of(size_t number) {
  return "message " + std::to_string(number) + " for everybody who listens";
}

class Talk {
 public:
  Talk(Stage& stage, FanOut plan)
      : stage_(stage), plan_(plan), talker_(stage.transport, stage.target), all_(stage.runtime) {}

  Task<Status> open() {
    POLDER_CO_CHECK(co_await talker_.register_user(stage_.prefix + "talker"));
    POLDER_CO_TRY(room_, co_await talker_.create_room());
    POLDER_CO_TRY(const std::vector<Session> users,
                  co_await register_users(stage_, stage_.target, "listener", plan_.listeners));
    for (const Session& user : users)
      listeners_.push_back({.session = user, .room = room_});
    co_await for_each(stage_.runtime, listeners_.size(), kSetUpAtOnce,
                      [this](size_t i) { return listeners_[i].session.join(room_); });
    co_await for_each(stage_.runtime, listeners_.size(), kSetUpAtOnce,
                      [this](size_t i) { return begin_to_listen(listeners_[i]); });
    co_return Status();
  }

  Task<Result<Report>> hold() {
    POLDER_CO_TRY(Measurement measurement, Measurement::begin(stage_));
    measurement_ = &measurement;
    end_ = stage_.now() + std::chrono::seconds(plan_.seconds);
    // The talker is the last of the workers.
    co_await for_each(stage_.runtime, listeners_.size() + 1, listeners_.size() + 1,
                      [this](size_t i) { return i < listeners_.size() ? hear(i) : talk(); });
    POLDER_CO_TRY(Report report, measurement.end(stage_, "fanout", "deliveries"));
    report.checked = report.count;
    for (const Listener& listener : listeners_) {
      if (listener.heard != said_)
        co_return fail(ErrorCode::kInternal, listener.session.user_id() + " missed messages");
    }
    co_return report;
  }

 private:
  Task<Status> hear(size_t i) {
    return listen(listeners_[i], text_of, [this] {
      measurement_->add(stage_.now() - sent_);
      if (--missing_ == 0) all_.notify_all();
      return !last_;
    });
  }

  Task<Status> talk() {
    while (!last_) {
      sent_ = stage_.now();
      last_ = sent_ >= end_;
      missing_ = listeners_.size();
      const size_t number = said_++;
      POLDER_CO_CHECK(co_await talker_.send(room_, std::to_string(number), text_of(number)));
      if (missing_ == 0) continue;
      const bool heard = co_await all_.wait_for(kHeardWithin);
      if (!heard) {
        co_return fail(ErrorCode::kTimeout, std::to_string(missing_) +
                                                " of the listeners did not hear \"" +
                                                text_of(number) + "\" in a minute");
      }
    }
    co_return Status();
  }

  Stage& stage_;
  const FanOut plan_;
  Session talker_;
  std::string room_;
  std::vector<Listener> listeners_;
  Measurement* measurement_ = nullptr;
  std::chrono::nanoseconds end_{0};
  // Of the message under way:
  std::chrono::nanoseconds sent_{0};
  size_t missing_ = 0;  // listeners who have not heard it
  bool last_ = false;
  size_t said_ = 0;
  runtime::Signal all_;  // have heard it
};

}  // namespace

Reports measure_fan_out(Stage& stage, FanOut plan) {
  Talk talk(stage, plan);
  POLDER_CO_CHECK(co_await talk.open());
  POLDER_CO_TRY(Report report, co_await talk.hold());
  report.shape = {{"listeners", plan.listeners}};
  co_return std::vector<Report>(1, std::move(report));
}

}  // namespace polder::load
