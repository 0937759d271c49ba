#include "homeserver/base/runtime/threads.h"

#include <pthread.h>
#include <sys/resource.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <thread>

#include "homeserver/base/values/mutex.h"

namespace polder::runtime {
namespace {

// Who computes for long gives way to who answers.
constexpr int kLongNiceness = 5;

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
    boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                      boost::asio::wait_traits<std::chrono::steady_clock>,
                                      boost::asio::io_context::executor_type>
        timer;
    std::function<void()> callback;
  };
  std::shared_ptr<State> state_;
};

// The threads of one lane and what waits for them.
class Pool {
 public:
  // Clock and histogram outlive it.
  Pool(const char* name, size_t threads, int niceness, const Clock& clock, DiskMisuses& misuses,
       metrics::Histogram& waits)
      : clock_(clock), misuses_(misuses), waits_(waits) {
    for (size_t i = 0; i < threads; ++i)
      threads_.emplace_back([this, name, niceness] { work(name, niceness); });
  }

  ~Pool() { stop(); }

  void post(std::function<void()> job) {
    {
      const base::Lock lock(mutex_);
      if (stopping_) return;
      jobs_.push_back({std::move(job), clock_.steady()});
      waiting_.store(jobs_.size(), std::memory_order_relaxed);
      if (!wakes_one()) return;
    }
    // Without the lock, which who is woken takes first.
    wake_.notify_one();
  }

  size_t backlog() const { return waiting_.load(std::memory_order_relaxed); }

  void stop() {
    {
      const base::Lock lock(mutex_);
      stopping_ = true;
      wake_.notify_all();
    }
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
    std::deque<Job> left;
    const base::Lock lock(mutex_);
    left.swap(jobs_);
  }

 private:
  struct Job {
    std::function<void()> run;
    std::chrono::nanoseconds posted;
  };

  // To wake a thread costs more than most jobs, and many are posted at once. So one thread is woken
  // at a time, by whoever posts first, and wakes the next if it finds more than it takes.
  bool wakes_one() REQUIRES(mutex_) {
    if (asleep_ == 0 || waking_) return false;
    waking_ = true;
    return true;
  }

  void work(const char* name, int niceness) {
    pthread_setname_np(pthread_self(), name);
    // Of this thread only, as Linux has it; without it the lane is merely less considerate.
    if (niceness != 0) static_cast<void>(setpriority(PRIO_PROCESS, 0, niceness));
    const base::WatchedThread watched(misuses_, base::ThreadRole::kWorks);
    base::Lock lock(mutex_);
    for (;;) {
      while (jobs_.empty() && !stopping_) {
        ++asleep_;
        wake_.wait(lock);
        --asleep_;
        waking_ = false;
      }
      if (stopping_) return;
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      waiting_.store(jobs_.size(), std::memory_order_relaxed);
      const bool wakes = !jobs_.empty() && wakes_one();
      lock.unlock();
      if (wakes) wake_.notify_one();
      waits_.observe(std::chrono::duration<double>(clock_.steady() - job.posted).count());
      job.run();
      job.run = nullptr;
      lock.lock();
    }
  }

  const Clock& clock_;
  DiskMisuses& misuses_;
  metrics::Histogram& waits_;
  base::Mutex mutex_;
  base::Condition wake_;
  std::deque<Job> jobs_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  size_t asleep_ GUARDED_BY(mutex_) = 0;
  bool waking_ GUARDED_BY(mutex_) = false;  // one was told to wake, and has not done so yet
  std::atomic<size_t> waiting_ = 0;
  std::vector<std::thread> threads_;
};

class ThreadsImpl final : public Threads {
 public:
  ThreadsImpl(const ThreadOptions& options, const Clock& clock, Random& random, Log& log)
      : clock_(clock),
        random_(random),
        log_(log),
        misuses_(log),
        read_("read", options.pool_threads, 0, clock, misuses_, waits(Lane::kRead)),
        short_("short", std::max<size_t>(options.shards, 2), 0, clock, misuses_,
               waits(Lane::kShort)),
        long_("long", options.shards, kLongNiceness, clock, misuses_, waits(Lane::kLong)),
        commit_("commit", 1, 0, clock, misuses_, waits(Lane::kCommit)) {
    for (size_t i = 0; i < options.shards; ++i)
      shards_.push_back(std::make_unique<Shard>());
  }

  ~ThreadsImpl() override { end(); }

  size_t shard_count() const override { return shards_.size(); }
  Executor shard(size_t index) override { return shards_.at(index)->context.get_executor(); }
  size_t current_shard() const override {
    return current_runtime == this ? current_index : kNoShard;
  }
  void post_to_pool(Lane lane, std::function<void()> work) override {
    pool(lane).post(std::move(work));
  }
  size_t backlog(Lane lane) const override {
    return const_cast<ThreadsImpl*>(this)->pool(lane).backlog();
  }
  const Clock& clock() const override { return clock_; }
  Random& random() override { return random_; }
  Log& log() override { return log_; }
  const DiskMisuses& disk_misuses() const override { return misuses_; }

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
    end();
  }

  void stop() override {
    for (const auto& shard : shards_)
      shard->context.stop();
  }

 private:
  struct Context : boost::asio::io_context {
    using io_context::io_context;
    // What is suspended dies; executors, timers and sockets of others can still be let go of.
    void destroy_tasks() { shutdown(); }
  };
  struct Shard {
    Context context{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard{
        context.get_executor()};
  };

  // Suspended tasks die after the pool has stopped, when nothing runs any more: each as on its
  // shard, and before the services that it refers to. What they post as they die dies with them.
  void end() {
    stop_pools();
    for (int pass = 0; pass < 2; ++pass) {
      for (size_t i = 0; i < shards_.size(); ++i) {
        const OnShard here(this, i);
        shards_[i]->context.destroy_tasks();
      }
    }
  }

  Pool& pool(Lane lane) {
    switch (lane) {
      case Lane::kRead:
        return read_;
      case Lane::kShort:
        return short_;
      case Lane::kLong:
        return long_;
      case Lane::kCommit:
        return commit_;
    }
    std::abort();
  }
  void stop_pools() {
    for (Pool* pool : {&read_, &short_, &long_, &commit_})
      pool->stop();
  }

  // The calling thread is the shard's meanwhile.
  struct OnShard {
    OnShard(const Runtime* runtime, size_t index) {
      current_runtime = runtime;
      current_index = index;
    }
    OnShard(const OnShard&) = delete;
    OnShard& operator=(const OnShard&) = delete;
    ~OnShard() {
      current_runtime = nullptr;
      current_index = kNoShard;
    }
  };

  void run_shard(size_t index) {
    const OnShard here(this, index);
    // Shard 0 is the process's first thread, whose name is the program's.
    if (index > 0) pthread_setname_np(pthread_self(), ("shard-" + std::to_string(index)).c_str());
    const base::WatchedThread watched(misuses_, base::ThreadRole::kAnswers);
    shards_[index]->context.run();
  }

  const Clock& clock_;
  Random& random_;
  Log& log_;
  DiskMisuses misuses_;
  std::vector<std::unique_ptr<Shard>> shards_;
  Pool read_, short_, long_, commit_;
};

}  // namespace

std::unique_ptr<Threads> Threads::create(const ThreadOptions& options, const Clock& clock,
                                         Random& random, Log& log) {
  return std::make_unique<ThreadsImpl>(options, clock, random, log);
}

}  // namespace polder::runtime
