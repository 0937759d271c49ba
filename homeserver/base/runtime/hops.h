// Definitions of on_pool() and on_shard(), included by runtime.h. These two are the only ways from
// one thread to another, so that what crosses is in one place.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <unordered_set>

#include "homeserver/base/runtime/runtime.h"

namespace polder::runtime {
namespace internal {

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

// A suspended task: what resumes it.
class Parked {
 public:
  virtual ~Parked() = default;
  virtual void resume() = 0;
};

// Owns every suspended task of one io_context, so that they die with it, in a defined order,
// however many timers and signals still know how to wake them.
class ParkingLot final : public boost::asio::execution_context::service {
 public:
  static boost::asio::execution_context::id id;  // NOLINT: Asio finds a service by this name
  explicit ParkingLot(boost::asio::execution_context& context) : service(context) {}

  void park(std::shared_ptr<Parked> task);
  void leave(const std::shared_ptr<Parked>& task);
  // Destroys the tasks that are suspended; their executor still takes what their ends post.
  void shutdown() noexcept override;

 private:
  std::mutex mutex_;
  std::unordered_set<std::shared_ptr<Parked>> tasks_;
};

template <class Handler>
class ParkedHandler final : public Parked {
 public:
  explicit ParkedHandler(Handler handler) : handler_(std::move(handler)) {}
  void resume() override { std::move(handler_)(); }

 private:
  Handler handler_;
};

// Resumes the task on its executor; nothing happens if it is gone. May be called from any thread,
// once.
void wake(const Executor& home, const std::weak_ptr<Parked>& task);
ParkingLot& parking_lot(const Executor& executor);

// Suspends the calling task until resume() - handed to start - is called, from any thread; it goes
// on on its own shard. start is called once, at once. resume may never be called.
template <class Start>
Task<void> suspend(Start start) {
  const Executor home = co_await boost::asio::this_coro::executor;
  co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void()>(
      [home](auto handler, Start begin) {
        auto task = std::make_shared<ParkedHandler<decltype(handler)>>(std::move(handler));
        parking_lot(home).park(task);
        begin(std::function<void()>(
            [home, weak = std::weak_ptr<Parked>(task)] { wake(home, weak); }));
      },
      boost::asio::use_awaitable, std::move(start));
}

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

}  // namespace internal

template <class F>
Task<std::invoke_result_t<F>> on_pool(Runtime& runtime, Lane lane, F f) {
  using T = std::invoke_result_t<F>;
  auto outcome = std::make_shared<internal::Outcome<T>>();
  auto work = std::make_shared<F>(std::move(f));
  auto start = [&runtime, lane, outcome, work](std::function<void()> resume) {
    runtime.post_to_pool(lane, [outcome, work, resume = std::move(resume)]() mutable {
      outcome->fill(*work);
      work.reset();
      resume();
    });
  };
  work.reset();
  co_await internal::suspend(std::move(start));
  co_return outcome->take();
}

template <class F>
auto on_shard(Runtime& runtime, size_t shard, F make) -> std::invoke_result_t<F> {
  using T = typename std::invoke_result_t<F>::value_type;
  if (runtime.current_shard() == shard) co_return co_await make();
  auto outcome = std::make_shared<internal::Outcome<T>>();
  auto start = [&runtime, shard, outcome,
                make = std::move(make)](std::function<void()> resume) mutable {
    const Executor there = runtime.shard(shard);
    boost::asio::post(
        there, [there, outcome, make = std::move(make), resume = std::move(resume)]() mutable {
          boost::asio::co_spawn(there, internal::run_into<T>(make(), outcome),
                                [resume = std::move(resume)](std::exception_ptr) { resume(); });
        });
  };
  co_await internal::suspend(std::move(start));
  co_return outcome->take();
}

}  // namespace polder::runtime
