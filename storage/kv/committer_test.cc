#include "storage/kv/committer.h"

#include <boost/asio/post.hpp>
#include <set>
#include <thread>

#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/threads.h"
#include "storage/kv/testing/places.h"

namespace polder::kv {
namespace {

Batch batch_of(std::string_view key, uint32_t positions = 1) {
  Batch batch;
  for (uint32_t i = 0; i < positions; ++i)
    static_cast<void>(batch.reserve_position());
  batch.put(0, key, "value");
  return batch;
}

// One shard of a simulation, on a database in memory.
class CommitterTest : public testing::Test {
 protected:
  CommitterTest() {
    committer_->on_visible([this](Position position) { steps_.push_back(position); });
  }
  ~CommitterTest() override { simulation_->crash(*runtime_); }

  void enqueue(std::string_view key, Durability durability = Durability::kDurable) {
    boost::asio::post(runtime_->shard(0), [this, key = std::string(key), durability] {
      committer_->enqueue(batch_of(key), durability, [this, key](Result<Committed> result) {
        results_ += key + "=" + (result.ok() ? std::to_string(result->first) : "failed") + " ";
      });
    });
  }

  MemoryPlace place_;
  const std::unique_ptr<Database> database_ = *place_.open();
  const std::unique_ptr<runtime::Simulation> simulation_ = runtime::Simulation::create(7);
  const std::unique_ptr<runtime::Runtime> runtime_ = simulation_->add_runtime("a");
  const std::unique_ptr<Committer> committer_ = Committer::create(*runtime_, *database_);
  std::vector<Position> steps_;
  std::string results_;
};

TEST_F(CommitterTest, BatchesAreAnsweredInTheirOrderOnceTheyAreVisible) {
  for (const char* key : {"a", "b", "c"})
    enqueue(key);
  simulation_->run_for(Millis(1));
  EXPECT_EQ(results_, "a=1 b=2 c=3 ");
  EXPECT_EQ(committer_->visible(), 3u);
  EXPECT_EQ(steps_.back(), 3u);
  EXPECT_TRUE(database_->snapshot()->get(0, "c")->has_value());
}

TEST_F(CommitterTest, LazyBatchesWaitForCompanyButNotForLong) {
  enqueue("lazy", Durability::kLazy);
  simulation_->run_for(Millis(500));
  EXPECT_EQ(results_, "");
  enqueue("durable");
  simulation_->run_for(Millis(1));
  EXPECT_EQ(results_, "lazy=1 durable=2 ");
  enqueue("alone", Durability::kLazy);
  simulation_->run_for(Millis(2000));
  EXPECT_EQ(results_, "lazy=1 durable=2 alone=3 ");
}

// A reader was told the position of a lazy batch: it must not be given again after a power cut.
TEST_F(CommitterTest, ALazyGroupIsSyncedBeforeItIsVisible) {
  enqueue("lazy", Durability::kLazy);
  simulation_->run_for(Millis(2000));
  EXPECT_EQ(committer_->visible(), 1u);
  EXPECT_EQ(place_.disk.unsynced(), 0u);
}

TEST_F(CommitterTest, AFailureFailsWhatWasQueuedBehindItAndNothingIsWrittenUntilResumed) {
  place_.disk.fail_after(1);
  for (const char* key : {"a", "b"})
    enqueue(key);
  simulation_->run_for(Millis(1));
  EXPECT_EQ(results_, "a=failed b=failed ");
  enqueue("c");
  simulation_->run_for(Millis(1));
  EXPECT_EQ(results_, "a=failed b=failed c=failed ");
  EXPECT_EQ(committer_->visible(), 0u);
  ASSERT_TRUE(database_->resume().ok());
  enqueue("d");
  simulation_->run_for(Millis(1));
  EXPECT_EQ(results_, "a=failed b=failed c=failed d=1 ");
}

TEST_F(CommitterTest, StoppingCommitsWhatWaitsAndRefusesTheRest) {
  enqueue("a", Durability::kLazy);
  simulation_->run_for(Millis(1));
  committer_->stop();
  EXPECT_TRUE(database_->snapshot()->get(0, "a")->has_value());
  enqueue("b");
  simulation_->run_for(Millis(1));
  EXPECT_EQ(results_, "a=1 b=failed ");
}

TEST(CommitterThreads, ManyThreadsGetPositionsOfTheirOwn) {
  constexpr size_t kThreads = 4;
  constexpr size_t kEach = 100;
  base::SystemClock clock;
  base::SystemRandom random;
  base::NullLog log;
  MemoryPlace place;
  const auto database = *place.open();
  const auto runtime = runtime::Threads::create({.shards = 1}, clock, random, log);
  const auto committer = Committer::create(*runtime, *database);
  std::thread running([&] { runtime->run(); });
  std::array<std::vector<Position>, kThreads> given;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (size_t n = 0; n < kEach; ++n) {
        const std::string key = std::to_string(i) + "/" + std::to_string(n);
        const auto committed = committer->commit_and_wait(batch_of(key, 2));
        ASSERT_TRUE(committed.ok());
        given[i].push_back(committed->first);
        ASSERT_GE(committer->visible(), committed->first + 1);
        ASSERT_TRUE(database->snapshot()->get(0, key)->has_value());
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  std::set<Position> all;
  for (const auto& positions : given) {
    EXPECT_TRUE(std::ranges::is_sorted(positions));
    all.insert(positions.begin(), positions.end());
  }
  EXPECT_EQ(all.size(), kThreads * kEach);
  EXPECT_EQ(database->last_position(), 2 * kThreads * kEach);
  committer->stop();
  runtime->stop();
  running.join();
}

}  // namespace
}  // namespace polder::kv
