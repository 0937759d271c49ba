#include "homeserver/base/runtime/threads.h"

#include <pthread.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace polder::runtime {
namespace {

thread_local const void* current_runtime = nullptr;
thread_local size_t current_index = Runtime::kNoShard;

class AsioTimer final : public Timer {
 public:
  AsioTimer(boost::asio::io_context& context, Millis delay, std::function<void()> callback)
      : state_(std::make_shared<State>(context, std::move(callback))) {
    state_->timer.expires_after(delay);
    state_->timer.async_wait([state = state_](boost::system::error_code) {
      if (const auto run = std::exchange(state->callback, nullptr)) run();
    });
  }
  void cancel() override {
    state_->callback = nullptr;
    state_->timer.cancel();
  }

 private:
  struct State {
    State(boost::asio::io_context& context, std::function<void()> run)
        : timer(context), callback(std::move(run)) {}
    boost::asio::steady_timer timer;
    std::function<void()> callback;
  };
  std::shared_ptr<State> state_;
};

class Pool {
 public:
  Pool(size_t threads, size_t queue_max) : queue_max_(queue_max) {
    for (size_t i = 0; i < threads; ++i)
      threads_.emplace_back([this] { work(); });
  }

  ~Pool() { stop(); }

  void post(std::function<void()> job) {
    std::unique_lock lock(mutex_);
    // Back-pressure: whoever floods the pool waits. Work of the pool itself must not wait for the
    // pool.
    room_.wait(lock, [&] { return jobs_.size() < queue_max_ || stopping_; });
    if (stopping_) return;
    jobs_.push_back(std::move(job));
    wake_.notify_one();
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      wake_.notify_all();
      room_.notify_all();
    }
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
    const std::lock_guard lock(mutex_);
    jobs_.clear();
  }

 private:
  void work() {
    pthread_setname_np(pthread_self(), "pool");
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return !jobs_.empty() || stopping_; });
      if (stopping_) return;
      auto job = std::move(jobs_.front());
      jobs_.pop_front();
      room_.notify_one();
      lock.unlock();
      job();
      job = nullptr;
      lock.lock();
    }
  }

  const size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable wake_, room_;
  std::deque<std::function<void()>> jobs_;  // under mutex_
  bool stopping_ = false;                   // under mutex_
  std::vector<std::thread> threads_;
};

class ThreadsImpl final : public Threads {
 public:
  ThreadsImpl(const ThreadOptions& options, const Clock& clock, Random& random, Log& log)
      : clock_(clock),
        random_(random),
        log_(log),
        pool_(options.pool_threads, options.pool_queue_max) {
    for (size_t i = 0; i < options.shards; ++i)
      shards_.push_back(std::make_unique<Shard>());
  }

  ~ThreadsImpl() override { end(); }

  size_t shard_count() const override { return shards_.size(); }
  Executor shard(size_t index) override { return shards_.at(index)->context.get_executor(); }
  size_t current_shard() const override {
    return current_runtime == this ? current_index : kNoShard;
  }
  void post_to_pool(std::function<void()> work) override { pool_.post(std::move(work)); }
  const Clock& clock() const override { return clock_; }
  Random& random() override { return random_; }
  Log& log() override { return log_; }

  std::unique_ptr<Timer> after(Millis delay, std::function<void()> callback) override {
    if (current_shard() == kNoShard) std::abort();
    return std::make_unique<AsioTimer>(shards_[current_index]->context, delay, std::move(callback));
  }

  void run() override {
    std::vector<std::thread> threads;
    for (size_t i = 1; i < shards_.size(); ++i)
      threads.emplace_back([this, i] { run_shard(i); });
    run_shard(0);
    for (std::thread& thread : threads)
      thread.join();
    pool_.stop();
  }

  void stop() override {
    for (const auto& shard : shards_)
      shard->context.stop();
  }

 private:
  struct Shard {
    boost::asio::io_context context{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard{
        context.get_executor()};
  };

  // Suspended tasks die with their io_context, after the pool has stopped: nothing runs any more.
  void end() {
    pool_.stop();
    shards_.clear();
  }

  void run_shard(size_t index) {
    current_runtime = this;
    current_index = index;
    // Shard 0 is the process's first thread, whose name is the program's.
    if (index > 0) pthread_setname_np(pthread_self(), ("shard-" + std::to_string(index)).c_str());
    shards_[index]->context.run();
    current_runtime = nullptr;
    current_index = kNoShard;
  }

  const Clock& clock_;
  Random& random_;
  Log& log_;
  std::vector<std::unique_ptr<Shard>> shards_;
  Pool pool_;
};

}  // namespace

std::unique_ptr<Threads> Threads::create(const ThreadOptions& options, const Clock& clock,
                                         Random& random, Log& log) {
  return std::make_unique<ThreadsImpl>(options, clock, random, log);
}

}  // namespace polder::runtime
