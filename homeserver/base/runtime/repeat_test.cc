#include "homeserver/base/runtime/repeat.h"

#include "homeserver/base/runtime/simulated.h"

namespace polder::runtime {
namespace {

// A job whose passes fail while they are told to.
class RepeatTest : public testing::Test {
 protected:
  void begin(Millis pause) {
    spawn(*runtime_, runtime_->shard(0), "upkeep",
          repeat(*runtime_, "upkeep", pause, [this] { return pass(); }));
  }
  Task<Status> pass() {
    co_await on_pool(*runtime_, [] {});
    passes_.push_back((runtime_->clock().wall_ms() - begun_ms_ + 500) / 1000);
    if (failing_) co_return fail(ErrorCode::kIo, "no disk");
    co_return Status();
  }
  JobReport report() { return runtime_->jobs().reports().at(0); }
  void run_for_seconds(int64_t seconds) { simulation_->run_for(Millis(seconds * 1000)); }

  const std::unique_ptr<Simulation> simulation_ = Simulation::create(1);
  const std::unique_ptr<Runtime> runtime_ = simulation_->add_runtime("a");
  const int64_t begun_ms_ = simulation_->clock().wall_ms();
  bool failing_ = false;
  std::vector<int64_t> passes_;  // when, in seconds
};

using Seconds = std::vector<int64_t>;

TEST_F(RepeatTest, RunsAtOnceAndAfterEachPause) {
  begin(Millis(60'000));
  run_for_seconds(150);
  EXPECT_EQ(passes_, (Seconds{0, 60, 120}));
  EXPECT_EQ(report().failed, 0u);
  EXPECT_EQ(report().running, 1u);
}

TEST_F(RepeatTest, WhatFailsIsCountedAndTriedAgainSoonAndThenLessOften) {
  failing_ = true;
  begin(Millis(3'600'000));
  run_for_seconds(20);
  EXPECT_EQ(passes_, (Seconds{0, 1, 3, 7, 15}));
  EXPECT_EQ(report().failed, 5u);
  EXPECT_EQ(report().last_failure, "no disk");
  EXPECT_EQ(report().running, 1u) << "it goes on";
  failing_ = false;
  run_for_seconds(7000);
  EXPECT_EQ(passes_, (Seconds{0, 1, 3, 7, 15, 31, 3631}));
  failing_ = true;
  run_for_seconds(300);
  EXPECT_EQ(passes_.at(7), 7231) << "what failed before is forgotten";
  EXPECT_EQ(passes_.at(8), 7232);
}

TEST_F(RepeatTest, AShortPauseDoesNotFillTheLog) {
  failing_ = true;
  begin(Millis(1000));
  run_for_seconds(3600);
  EXPECT_LT(passes_.size(), 25u);
  EXPECT_EQ(passes_.back() - passes_.at(passes_.size() - 2), 300);
}

TEST_F(RepeatTest, EndsWhenItIsAskedTo) {
  begin(Millis(3'600'000));
  run_for_seconds(1);
  ASSERT_TRUE(runtime_->jobs().stop("upkeep").ok());
  run_for_seconds(30);
  EXPECT_EQ(report().running, 0u);
  EXPECT_EQ(report().ended, 1u);
  EXPECT_EQ(report().failed, 0u);
  EXPECT_EQ(passes_, Seconds{0});
}

}  // namespace
}  // namespace polder::runtime
