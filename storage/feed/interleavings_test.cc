// Any order of commits, failures and crashes: what a follower was handed is what was committed.
#include "storage/feed/testing/log.h"

namespace polder::feed {
namespace {

// Follows with one cursor through crashes at any step of the machine.
class InterleavingsTest : public LogTest, public testing::WithParamInterface<uint64_t> {
 protected:
  InterleavingsTest() : random_(GetParam()) {
    options_.name = "one";
    options_.streams = {Stream::kEvents, Stream::kDeviceLists};
    options_.entries_max = 1 + random_.below(4);
    options_.durability = random_.below(2) == 0 ? kv::Durability::kDurable : kv::Durability::kLazy;
    options_.save_every = Millis(static_cast<int64_t>(random_.below(300)));
  }

  // Deterministic: the tests' own randomness.
  class Numbers {
   public:
    explicit Numbers(uint64_t seed) : state_(seed * 2 + 1) {}
    uint64_t below(uint64_t bound) {
      state_ = state_ * 6364136223846793005u + 1442695040888963407u;
      return (state_ >> 33) % bound;
    }

   private:
    uint64_t state_;
  };

  // Begins where the database says; knows how much was handled up to there.
  void begin() {
    auto& one = make(options_);
    one->row = "handled";
    recorder_ = one.recorder.get();
    const auto row = *database_->snapshot()->get(stores::kMeta, "handled");
    recorder_->handled = row ? keys::ValueReader(*row, 1).varint() : 0;
    from_ = saved("one").value_or(0);
    const Positions all = positions(options_.streams);
    const auto before = std::ranges::upper_bound(all, from_) - all.begin();
    ASSERT_EQ(recorder_->handled, static_cast<uint64_t>(before))
        << "what goes with the cursor is as old as it is";
    start();
  }
  // What it saw since begin(): all that follows its cursor, in order, each once.
  void check() {
    Positions expected = positions(options_.streams);
    expected.erase(expected.begin(), std::ranges::upper_bound(expected, from_));
    ASSERT_LE(recorder_->seen.size(), expected.size());
    expected.resize(recorder_->seen.size());
    ASSERT_EQ(recorder_->seen, expected);
    if (!recorder_->seen.empty()) furthest_ = std::max(furthest_, recorder_->seen.back());
  }
  void check_repeated() {
    if (options_.durability != kv::Durability::kDurable) return;
    const Positions all = positions(options_.streams);
    const auto repeated = std::ranges::count_if(
        all, [&](kv::Position at) { return at > saved("one").value_or(0) && at <= furthest_; });
    ASSERT_LE(static_cast<size_t>(repeated), options_.entries_max * 2) << "of each stream a page";
  }
  void act() {
    switch (random_.below(6)) {
      case 0:
        recorder_->works_to_fail = static_cast<int>(random_.below(3));
        break;
      case 1:
        recorder_->reads_to_fail = static_cast<int>(random_.below(3));
        break;
      case 2:
        recorder_->takes = Millis(static_cast<int64_t>(random_.below(40)));
        break;
      default:
        enqueue(random_.below(2) == 0 ? Stream::kEvents : Stream::kDeviceLists,
                1 + random_.below(5));
    }
    run_some_steps(random_.below(40));
  }
  void run_some_steps(uint64_t count) {
    uint64_t steps = 0;
    simulation_->run_until([&] { return steps++ >= count; }, Millis(2000));
  }

  Numbers random_;
  Options options_{.name = "one", .streams = {}};
  Recorder* recorder_ = nullptr;
  kv::Position from_ = 0;
  kv::Position furthest_ = 0;
};

TEST_P(InterleavingsTest, EverythingIsHandledInOrder) {
  for (int life = 0; life < 6; ++life) {
    ASSERT_NO_FATAL_FAILURE(begin());
    for (uint64_t acts = random_.below(15); acts > 0; --acts) {
      act();
      ASSERT_NO_FATAL_FAILURE(check());
    }
    ASSERT_NO_FATAL_FAILURE(check());
    crash(random_.below(disk_.unsynced() + 1));
    ASSERT_NO_FATAL_FAILURE(check_repeated());
  }
  ASSERT_NO_FATAL_FAILURE(begin());
  run(60'000);
  ASSERT_NO_FATAL_FAILURE(check());
  Positions all = positions(options_.streams);
  EXPECT_EQ(recorder_->handled, all.size()) << "nothing is left";
}

INSTANTIATE_TEST_SUITE_P(Seeds, InterleavingsTest, testing::Range<uint64_t>(0, 60));

}  // namespace
}  // namespace polder::feed
