#include "homeserver/base/runtime/hops.h"

#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unordered_set>

#include "homeserver/base/values/mutex.h"

namespace polder::runtime::internal {
namespace {

// A suspended task: what resumes it.
class Parked {
 public:
  virtual ~Parked() = default;
  virtual void resume() = 0;
};

template <class Handler>
class ParkedHandler final : public Parked {
 public:
  explicit ParkedHandler(Handler handler) : handler_(std::move(handler)) {}
  void resume() override { std::move(handler_)(); }

 private:
  Handler handler_;
};

// Owns every suspended task of one io_context, so that they die with it, in a defined order,
// however many timers and signals still know how to wake them.
class ParkingLot final : public boost::asio::execution_context::service {
 public:
  static boost::asio::execution_context::id id;  // NOLINT: Asio finds a service by this name
  explicit ParkingLot(boost::asio::execution_context& context) : service(context) {}

  void park(std::shared_ptr<Parked> task) {
    const base::Lock lock(mutex_);
    tasks_.insert(std::move(task));
  }
  void leave(const std::shared_ptr<Parked>& task) {
    const base::Lock lock(mutex_);
    tasks_.erase(task);
  }
  // Destroys the tasks that are suspended; their executor still takes what their ends post.
  void shutdown() noexcept override {
    std::unordered_set<std::shared_ptr<Parked>> tasks;
    {
      const base::Lock lock(mutex_);
      tasks.swap(tasks_);
    }
    tasks.clear();  // outside the lock: a task's end may wake another
  }

 private:
  base::Mutex mutex_;
  std::unordered_set<std::shared_ptr<Parked>> tasks_ GUARDED_BY(mutex_);
};

boost::asio::execution_context::id ParkingLot::id;

ParkingLot& parking_lot(const Executor& executor) {
  return boost::asio::use_service<ParkingLot>(
      boost::asio::query(executor, boost::asio::execution::context));
}

// Resumes the task on its executor; nothing happens if it is gone. May be called from any thread,
// once.
void wake(const Executor& home, const std::weak_ptr<Parked>& weak) {
  auto task = weak.lock();
  if (!task) return;
  boost::asio::post(home, [home, task = std::move(task)]() mutable {
    parking_lot(home).leave(task);
    task->resume();
  });
}

}  // namespace

// No task itself: Asio's own is enough.
Task<void> suspend(std::function<void(std::function<void()> resume)> start) {
  return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void()>(
      [](auto handler, const std::function<void(std::function<void()>)>& begin) {
        const Executor home = handler.get_executor();
        auto task = std::make_shared<ParkedHandler<decltype(handler)>>(std::move(handler));
        parking_lot(home).park(task);
        begin([home, weak = std::weak_ptr<Parked>(task)] { wake(home, weak); });
      },
      boost::asio::use_awaitable, std::move(start));
}

Task<void> hop_to_lane(Runtime& runtime, Lane lane, std::function<void()> work) {
  std::function<void(std::function<void()>)> start = [&runtime, lane,
                                                      &work](std::function<void()> resume) {
    runtime.post_to_pool(lane, [work = std::move(work), resume = std::move(resume)]() mutable {
      work();
      work = nullptr;
      resume();
    });
  };
  co_await suspend(std::move(start));
}

Task<void> hop_to_shard(Runtime& runtime, size_t shard, std::function<Task<void>()> make) {
  std::function<void(std::function<void()>)> start = [&runtime, shard,
                                                      &make](std::function<void()> resume) {
    const Executor there = runtime.shard(shard);
    boost::asio::post(there, [there, make = std::move(make), resume = std::move(resume)]() mutable {
      // The task is made of make, which stays until the task has ended.
      auto kept = std::make_shared<std::function<Task<void>()>>(std::move(make));
      boost::asio::co_spawn(
          there, (*kept)(),
          [kept, resume = std::move(resume)](const std::exception_ptr&) { resume(); });
    });
  };
  co_await suspend(std::move(start));
}

}  // namespace polder::runtime::internal
