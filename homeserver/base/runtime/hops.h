// Definitions of on_pool() and on_shard(), included by runtime.h. These two are the only ways from
// one thread to another, so that what crosses is in one place. What depends on the type of the work
// is little: the hops themselves are compiled once (hops.cc).
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>

#include "homeserver/base/runtime/runtime.h"

namespace polder::runtime {
namespace internal {

// Suspends the calling task until resume() - handed to start - is called, from any thread; it goes
// on on its own shard. start is called once, at once. resume may never be called.
Task<void> suspend(std::function<void(std::function<void()> resume)> start);

// Runs the work on the lane, and destroys it there; it throws nothing.
Task<void> hop_to_lane(Runtime& runtime, Lane lane, std::function<void()> work);
// Runs the task that make() gives to its end on the shard; it throws nothing.
Task<void> hop_to_shard(Runtime& runtime, size_t shard, std::function<Task<void>()> make);

// What work on another thread gave: a value, or the exception that escaped it (a bug, rethrown
// where the work was asked for).
template <class T>
struct Outcome {
  std::optional<T> value;
  std::exception_ptr bug;

  template <class F>
  void fill(F& f) noexcept {
    try {
      value.emplace(f());
    } catch (...) {
      bug = std::current_exception();
    }
  }
  T take() {
    if (bug) std::rethrow_exception(bug);
    return std::move(*value);
  }
};

template <>
struct Outcome<void> {
  std::exception_ptr bug;

  template <class F>
  void fill(F& f) noexcept {
    try {
      f();
    } catch (...) {
      bug = std::current_exception();
    }
  }
  void take() const {
    if (bug) std::rethrow_exception(bug);
  }
};

template <class T>
Task<void> run_into(Task<T> task, std::shared_ptr<Outcome<T>> outcome) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
    } else {
      outcome->value.emplace(co_await std::move(task));
    }
  } catch (...) {
    outcome->bug = std::current_exception();
  }
}

template <class T>
Task<T> take_after(Task<void> hop, std::shared_ptr<Outcome<T>> outcome) {
  co_await std::move(hop);
  co_return outcome->take();
}

template <class T>
Task<T> on_shard_of(Runtime& runtime, size_t shard, std::function<Task<T>()> make) {
  if (runtime.current_shard() == shard) co_return co_await make();
  auto outcome = std::make_shared<Outcome<T>>();
  std::function<Task<void>()> there = [outcome, make = std::move(make)] {
    return run_into<T>(make(), outcome);
  };
  co_await hop_to_shard(runtime, shard, std::move(there));
  co_return outcome->take();
}

}  // namespace internal

template <class F>
Task<std::invoke_result_t<F>> on_pool(Runtime& runtime, Lane lane, F f) {
  using T = std::invoke_result_t<F>;
  auto outcome = std::make_shared<internal::Outcome<T>>();
  auto work = std::make_shared<F>(std::move(f));
  return internal::take_after<T>(
      internal::hop_to_lane(runtime, lane,
                            [outcome, work = std::move(work)] { outcome->fill(*work); }),
      outcome);
}

template <class F>
auto on_shard(Runtime& runtime, size_t shard, F make) -> std::invoke_result_t<F> {
  using T = typename std::invoke_result_t<F>::value_type;
  auto shared = std::make_shared<F>(std::move(make));
  return internal::on_shard_of<T>(runtime, shard,
                                  [shared = std::move(shared)] { return (*shared)(); });
}

}  // namespace polder::runtime
