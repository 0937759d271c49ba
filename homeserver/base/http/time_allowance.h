// How long a request to somebody else may take. Private to this module; used on one shard.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "homeserver/base/runtime/runtime.h"

namespace polder::http {

// What moves more slowly for long ends.
inline constexpr uint64_t kLeastBytesPerSecond = 16 * 1024;

// The time that all of a request has, however many connections it takes: a time for everything, and
// more only for what bytes that move may take. It closes what it watches when that is over.
class TimeAllowance {
 public:
  TimeAllowance(runtime::Runtime& runtime, Millis timeout, const uint64_t& moved);
  ~TimeAllowance();
  TimeAllowance(const TimeAllowance&) = delete;
  TimeAllowance& operator=(const TimeAllowance&) = delete;
  // What is to be closed; at once, if the time is over. Nothing is watched while it is empty.
  void watch(std::function<void()> close);
  void within(Millis time);  // a step of the whole must end until then
  void step_done() { step_end_.reset(); }
  void end();
  bool over() const { return over_; }

 private:
  std::chrono::nanoseconds end_of_all() const;
  void set();
  void rang();

  runtime::Runtime& runtime_;
  const uint64_t& moved_;
  const std::chrono::nanoseconds start_;
  const Millis timeout_;
  std::optional<std::chrono::nanoseconds> step_end_;
  std::function<void()> close_;
  std::unique_ptr<runtime::Timer> timer_;
  bool over_ = false;
};

}  // namespace polder::http
