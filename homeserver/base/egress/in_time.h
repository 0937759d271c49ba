// Waiting for somebody who may never answer.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "homeserver/base/runtime/sync.h"

namespace polder::egress {

namespace internal {

template <class T>
struct Awaited {
  explicit Awaited(runtime::Runtime& runtime) : done(runtime) {}
  runtime::Signal done;
  std::optional<Result<T>> outcome;
};

template <class T>
Task<void> await_outcome(Task<Result<T>> task, std::shared_ptr<Awaited<T>> awaited) {
  awaited->outcome.emplace(co_await std::move(task));
  awaited->done.notify_all();
}

}  // namespace internal

// What the task gives until then, by the steady clock; kTimeout after that. The task goes on to its
// own end: what it refers to outlives it. Called on a shard.
template <class T>
Task<Result<T>> in_time(runtime::Runtime& runtime, std::chrono::nanoseconds deadline,
                        Task<Result<T>> task) {
  auto awaited = std::make_shared<internal::Awaited<T>>(runtime);
  runtime::spawn(runtime, runtime.shard(runtime.current_shard()), "egress",
                 internal::await_outcome(std::move(task), awaited));
  while (!awaited->outcome) {
    const auto left = deadline - runtime.clock().steady();
    if (left <= std::chrono::nanoseconds(0))
      co_return fail(ErrorCode::kTimeout, "no answer in time");
    co_await awaited->done.wait_for(std::chrono::ceil<Millis>(left));
  }
  co_return *std::move(awaited->outcome);
}

}  // namespace polder::egress
