#include "homeserver/base/http/time_allowance.h"

#include <algorithm>

namespace polder::http {

TimeAllowance::TimeAllowance(runtime::Runtime& runtime, Millis timeout, const uint64_t& moved)
    : runtime_(runtime), moved_(moved), start_(runtime.clock().steady()), timeout_(timeout) {
  set();
}

TimeAllowance::~TimeAllowance() {
  if (timer_) timer_->cancel();
}

void TimeAllowance::watch(std::function<void()> close) {
  close_ = std::move(close);
  if (over_ && close_) close_();
}

void TimeAllowance::within(Millis time) {
  step_end_ = runtime_.clock().steady() + time;
  if (timer_) timer_->cancel();
  set();
}

void TimeAllowance::end() {
  over_ = true;
  if (timer_) timer_->cancel();
  if (close_) close_();
}

std::chrono::nanoseconds TimeAllowance::end_of_all() const {
  const std::chrono::nanoseconds all =
      start_ + timeout_ + Millis(static_cast<int64_t>(moved_ * 1000 / kLeastBytesPerSecond));
  return step_end_ ? std::min(all, *step_end_) : all;
}

void TimeAllowance::set() {
  const auto left = end_of_all() - runtime_.clock().steady();
  timer_ = runtime_.after(std::max(std::chrono::ceil<Millis>(left), Millis(1)), [this] { rang(); });
}

void TimeAllowance::rang() {
  if (runtime_.clock().steady() < end_of_all()) return set();
  end();
}

}  // namespace polder::http
