#include "storage/kv/committer.h"

#include <boost/asio/post.hpp>
#include <deque>
#include <future>
#include <map>

#include "homeserver/base/values/mutex.h"

namespace polder::kv {
namespace {

constexpr Millis kLazyWait{1000};

class CommitterImpl final : public Committer {
 public:
  CommitterImpl(runtime::Runtime& runtime, Database& database, const CommitterOptions& options)
      : runtime_(runtime),
        database_(database),
        options_(options),
        visible_(database.last_position()),
        next_(visible_ + 1) {}

  bool enqueue(Batch batch, Durability durability, Done done,
               BeforeVisible before_visible) override {
    const size_t shard = runtime_.current_shard();
    Error refusal;
    {
      const base::Lock lock(mutex_);
      if (stopped_ || database_.read_only()) {
        refusal = fail(ErrorCode::kReadOnly,
                       stopped_ ? "the server ends" : "writing has stopped: the disk failed");
      } else if (queued_bytes_ + batch.bytes() > options_.queue_bytes_max && !queue_.empty()) {
        refusal = fail(ErrorCode::kRateLimited, "too much is waiting to be written");
      } else {
        queued_bytes_ += batch.bytes();
        queue_.push_back({std::move(batch), shard, std::move(done), std::move(before_visible)});
        wake(durability, shard);
        return true;
      }
    }
    complete(shard, [done = std::move(done), refusal] { done(refusal); });
    return false;
  }

  size_t queued_bytes() const override {
    const base::Lock lock(mutex_);
    return queued_bytes_;
  }
  Position visible() const override { return visible_.load(std::memory_order_acquire); }
  void on_visible(std::function<void(Position)> observer) override {
    observers_.push_back(std::move(observer));
  }

  void on_committed(CommitObserver observer) override {
    commit_observers_.push_back(std::move(observer));
  }

  void stop() override {
    base::Lock lock(mutex_);
    stopped_ = true;
    if (!queue_.empty() && !pumping_) {
      pumping_ = true;
      lock.unlock();
      pump();
      lock.lock();
    }
    while (pumping_)
      idle_.wait(lock);
  }

 private:
  struct Waiting {
    Batch batch;
    size_t shard;
    Done done;
    BeforeVisible before_visible;
  };

  // Starts the pump unless it runs; a lazy batch alone may wait for company.
  void wake(Durability durability, size_t shard) REQUIRES(mutex_) {
    if (pumping_) return;
    if (durability == Durability::kLazy && shard != runtime::Runtime::kNoShard) {
      if (std::exchange(lazy_timer_set_, true)) return;
      lazy_timer_ = runtime_.after(kLazyWait, [this] {
        const base::Lock lock(mutex_);
        lazy_timer_set_ = false;
        if (!pumping_ && !queue_.empty()) start_pump();
      });
      return;
    }
    start_pump();
  }

  void start_pump() REQUIRES(mutex_) {
    pumping_ = true;
    runtime_.post_to_pool(runtime::Lane::kCommit, [this] { pump(); });
  }

  // Writes groups until nothing durable waits. One pump at a time.
  void pump() {
    for (;;) {
      std::vector<Waiting> group = take_group();
      if (group.empty()) return;
      write_group(group);
    }
  }

  std::vector<Waiting> take_group() {
    const base::Lock lock(mutex_);
    std::vector<Waiting> group;
    size_t bytes = 0;
    while (!queue_.empty() &&
           (group.empty() || bytes + queue_.front().batch.bytes() <= options_.group_bytes_max)) {
      bytes += queue_.front().batch.bytes();
      group.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    queued_bytes_ -= bytes;
    if (group.empty()) {
      pumping_ = false;
      idle_.notify_all();
    }
    return group;
  }

  void write_group(std::vector<Waiting>& group) {
    std::vector<const Batch*> batches;
    std::vector<Position> firsts;
    Position next = next_;
    for (Waiting& waiting : group) {
      firsts.push_back(next);
      waiting.batch.fill_positions(next);
      next += waiting.batch.position_count();
      batches.push_back(&waiting.batch);
    }
    // A group of lazy batches alone is synced too: `visible` and its positions must outlive a power
    // cut, or they would be given again.
    const auto began = runtime_.clock().steady();
    const Status written = database_.write(batches, next_, true);
    stats_.write_time.observe(
        std::chrono::duration<double>(runtime_.clock().steady() - began).count());
    if (!written.ok()) return fail_group(group, written.error());
    count(group);
    next_ = next;
    for (size_t i = 0; i < group.size(); ++i) {
      if (group[i].before_visible) group[i].before_visible(Committed{firsts[i]});
    }
    visible_.store(next - 1, std::memory_order_release);
    for (const auto& observer : observers_)
      observer(next - 1);
    std::vector<Result<Committed>> results;
    for (const Position first : firsts)
      results.emplace_back(Committed{first});
    complete_group(group, results);
    for (const CommitObserver& observer : commit_observers_)
      observer(batches);
  }

  void count(const std::vector<Waiting>& group) {
    stats_.groups.add();
    stats_.batches.add(group.size());
    for (const Waiting& waiting : group)
      stats_.bytes.add(waiting.batch.bytes());
  }

  // What was queued behind the failed group may build on it: it fails too.
  void fail_group(std::vector<Waiting>& group, const Error& error) {
    {
      const base::Lock lock(mutex_);
      for (Waiting& waiting : queue_)
        group.push_back(std::move(waiting));
      queue_.clear();
      queued_bytes_ = 0;
    }
    stats_.failed_groups.add();
    // Why is for the log: clients learn no paths.
    const Error stopped = fail(ErrorCode::kReadOnly, "writing has stopped: the disk failed");
    runtime_.log().error("commit_failed", {{"batches", group.size()}, {"reason", error.message}});
    const std::vector<Result<Committed>> results(group.size(), Result<Committed>(stopped));
    complete_group(group, results);
  }

  // One post for each shard, in commit order.
  void complete_group(std::vector<Waiting>& group, const std::vector<Result<Committed>>& results) {
    std::map<size_t, std::vector<std::pair<Done, Result<Committed>>>> by_shard;
    for (size_t i = 0; i < group.size(); ++i)
      by_shard[group[i].shard].emplace_back(std::move(group[i].done), results[i]);
    for (auto& [shard, finished] : by_shard) {
      complete(shard, [calls = std::move(finished)] {
        for (const auto& [call, result] : calls)
          call(result);
      });
    }
  }

  void complete(size_t shard, std::function<void()> call) {
    if (shard == runtime::Runtime::kNoShard) {
      call();
    } else {
      boost::asio::post(runtime_.shard(shard), std::move(call));
    }
  }

  runtime::Runtime& runtime_;
  Database& database_;
  const CommitterOptions options_;
  std::vector<std::function<void(Position)>> observers_;  // constant after the first commit
  std::vector<CommitObserver> commit_observers_;          // likewise
  std::atomic<Position> visible_;
  Position next_;  // of the pump

  mutable base::Mutex mutex_;
  base::Condition idle_;
  std::deque<Waiting> queue_ GUARDED_BY(mutex_);
  size_t queued_bytes_ GUARDED_BY(mutex_) = 0;
  bool pumping_ GUARDED_BY(mutex_) = false;
  bool stopped_ GUARDED_BY(mutex_) = false;
  bool lazy_timer_set_ GUARDED_BY(mutex_) = false;
  std::unique_ptr<runtime::Timer> lazy_timer_ GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<Committer> Committer::create(runtime::Runtime& runtime, Database& database,
                                             const CommitterOptions& options) {
  return std::make_unique<CommitterImpl>(runtime, database, options);
}

Task<Result<Committed>> Committer::commit(Batch batch, Durability durability,
                                          BeforeVisible before_visible) {
  auto result = std::make_shared<std::optional<Result<Committed>>>();
  auto shared = std::make_shared<Batch>(std::move(batch));
  auto start = [this, result, shared, durability,
                before_visible = std::move(before_visible)](std::function<void()> resume) mutable {
    enqueue(
        std::move(*shared), durability,
        [result, resume = std::move(resume)](Result<Committed> done) {
          result->emplace(std::move(done));
          resume();
        },
        std::move(before_visible));
  };
  co_await runtime::internal::suspend(std::move(start));
  co_return std::move(**result);
}

Result<Committed> Committer::commit_and_wait(Batch batch) {
  std::promise<Result<Committed>> promise;
  auto future = promise.get_future();
  enqueue(std::move(batch), Durability::kDurable,
          [&promise](Result<Committed> done) { promise.set_value(std::move(done)); }, {});
  return future.get();
}

}  // namespace polder::kv
