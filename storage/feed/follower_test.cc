#include "storage/feed/follower.h"

#include "homeserver/base/metrics/metrics.h"
#include "storage/feed/testing/log.h"

namespace polder::feed {
namespace {

using FollowerTest = LogTest;

Options events(std::string name = "one") {
  return {.name = std::move(name), .streams = {Stream::kEvents}};
}
Options durable(Options options) {
  options.durability = kv::Durability::kDurable;
  return options;
}

TEST_F(FollowerTest, EveryPositionComesInOrderAndInPages) {
  Options options = events();
  options.streams = {Stream::kRoomEntries, Stream::kEvents};
  options.entries_max = 3;
  auto& one = make(options);
  commit(Stream::kEvents, 7);
  commit(Stream::kDeviceLists);
  start();
  run(100);
  commit(Stream::kRoomEntries);
  commit(Stream::kEvents);
  run(100);
  EXPECT_EQ(one->seen, positions(options.streams));
  EXPECT_EQ(one->seen, (Positions{1, 2, 3, 4, 5, 6, 7, 9, 10}));
  EXPECT_EQ(one->pages, (std::vector<size_t>{3, 3, 1, 1, 1}));
  EXPECT_TRUE(one.follower->level());
}

TEST_F(FollowerTest, OnePageIsHandledAtATime) {
  auto& one = make(events());
  one->takes = Millis(50);
  start();
  for (int i = 0; i < 20; ++i) {
    commit(Stream::kEvents);
    run(7);
  }
  run(1000);
  EXPECT_EQ(one->seen, positions({Stream::kEvents}));
  EXPECT_EQ(one->most_at_once, 1u);
}

TEST_F(FollowerTest, ManyCommitsWakeItOnceAndThoseOfOthersNever) {
  auto& one = make(events());
  one->takes = Millis(100);
  start();
  run(10);
  const auto before = one.follower->stats().wakes.value();
  for (int i = 0; i < 50; ++i)
    enqueue(Stream::kEvents);
  run(90);
  EXPECT_EQ(acknowledged_[Stream::kEvents], 50u);
  EXPECT_EQ(one.follower->stats().wakes.value() - before, 1u);
  run(1000);
  EXPECT_EQ(one->seen.size(), 50u);
  EXPECT_LE(one.follower->stats().wakes.value() - before, 2u);
  run(3000);
  const auto level = one.follower->stats().wakes.value();
  const auto pages = one.follower->stats().pages.value();
  for (int i = 0; i < 10; ++i)
    commit(Stream::kDeviceLists);
  EXPECT_EQ(one.follower->stats().wakes.value(), level);
  EXPECT_EQ(one.follower->stats().pages.value(), pages);
  EXPECT_EQ(one.follower->lag().positions, 0u);
}

TEST_F(FollowerTest, ASlowOneHoldsUpNeitherCommitsNorAnother) {
  auto& slow = make(events("slow"));
  auto& quick = make(events("quick"));
  slow->takes = Millis(3'600'000);
  start();
  for (int i = 0; i < 30; ++i)
    commit(Stream::kEvents);
  run(100);
  EXPECT_EQ(quick->seen.size(), 30u);
  EXPECT_TRUE(slow->seen.empty());
  EXPECT_LT(simulation_->clock().steady(), std::chrono::minutes(1));
}

TEST_F(FollowerTest, AFailingOneTriesAgainAndHoldsUpNobody) {
  auto& failing = make(events("failing"));
  auto& other = make(events("other"));
  failing->works_to_fail = 2;
  failing->reads_to_fail = 1;
  start();
  commit(Stream::kEvents, 2);
  run(100);
  EXPECT_EQ(other->seen, (Positions{1, 2}));
  EXPECT_TRUE(failing->seen.empty());
  commit(Stream::kEvents);
  run(20'000);
  EXPECT_EQ(failing->seen, (Positions{1, 2, 3})) << "in order, nothing left out";
  EXPECT_EQ(failing.follower->stats().failures.value(), 3u);
  for (const runtime::JobReport& job : runtime_->jobs().reports()) {
    if (!job.name.starts_with("follower ")) continue;
    EXPECT_EQ(job.running, 1u) << job.name;
    EXPECT_EQ(job.failed, job.name == "follower failing" ? 3u : 0u);
  }
  EXPECT_EQ(other.follower->stats().failures.value(), 0u);
}

TEST_F(FollowerTest, WhatFailsForLongIsTriedRarely) {
  auto& one = make(events());
  one->reads_to_fail = 1'000'000;
  start();
  commit(Stream::kEvents);
  run(3'600'000);
  EXPECT_GE(one.follower->stats().failures.value(), 60u);
  EXPECT_LE(one.follower->stats().failures.value(), 140u);
  one->reads_to_fail = 0;
  run(60'000);
  EXPECT_EQ(one->seen, (Positions{1}));
}

TEST_F(FollowerTest, ADurableCursorRepeatsAtMostItsLastPage) {
  Options options = durable(events());
  options.entries_max = 2;
  {
    auto& one = make(options);
    start();
    commit(Stream::kEvents, 5);
    run(100);
    EXPECT_EQ(one->pages, (std::vector<size_t>{2, 2, 1}));
    EXPECT_EQ(saved("one"), 5u);
    one->takes = Millis(1000);
    commit(Stream::kEvents, 4);
    run(1500);
    EXPECT_EQ(one->seen.size(), 7u);
    EXPECT_EQ(saved("one"), 7u);
  }
  crash();  // while 8 and 9 are handled
  auto& again = make(options);
  start();
  run(100);
  EXPECT_EQ(again->seen, (Positions{8, 9}));
}

TEST_F(FollowerTest, ALazyCursorIsWrittenNowAndThenWithWhatGoesWithIt) {
  {
    auto& one = make(events());
    one->row = "handled";
    start();
    run(5000);
    one->saves.clear();
    for (int i = 0; i < 30; ++i) {
      commit(Stream::kEvents);
      run(100);
    }
    EXPECT_GE(one->saves.size(), 2u);
    EXPECT_LE(one->saves.size(), 5u);
    run(5000);
    EXPECT_EQ(saved("one"), 30u);
  }
  crash();
  auto& again = make(events());
  start();
  run(100);
  EXPECT_TRUE(again->seen.empty());
  const auto row = *database_->snapshot()->get(stores::kMeta, "handled");
  ASSERT_TRUE(row);
  EXPECT_EQ(keys::ValueReader(*row, 1).varint(), 30u);
}

TEST_F(FollowerTest, WhatIsToBeSavedIsWrittenSoonAlsoWithoutCommits) {
  auto& one = make(events());
  start();
  run(5000);
  const size_t before = one->saves.size();
  one.follower->changed();
  run(2500);
  EXPECT_EQ(one->saves.size(), before + 1);
  run(60'000);
  EXPECT_EQ(one->saves.size(), before + 1) << "once it is written there is nothing to write";
}

TEST_F(FollowerTest, AfterALostWriteEverythingIsSavedAgain) {
  auto& one = make(durable(events()));
  start();
  run(100);
  one->takes = Millis(10);
  commit(Stream::kEvents);
  disk_.fail_after(1);
  run(100);
  EXPECT_EQ(one->seen, (Positions{1}));
  EXPECT_NE(saved("one"), 1u);
  disk_.repair();
  ASSERT_TRUE(database_->resume().ok());
  run(5000);
  EXPECT_EQ(saved("one"), 1u);
  EXPECT_TRUE(one->saves.back());
  EXPECT_EQ(one->seen, (Positions{1})) << "it was handled";
}

// A consumer forgets what it has erased: it cannot save it again.
TEST_F(FollowerTest, WhatALostWriteWasToEraseIsErasedAfterAll) {
  make(durable(events("durable")));
  make(events("lazy"));
  start();
  for (const auto& one : all_) {
    kv::Batch batch;
    batch.put(stores::kMeta, "old", "row");
    ASSERT_TRUE(wait(committer_->commit(std::move(batch))).ok());
    run(5000);
    one->recorder->erased = "old";
    disk_.fail_after(1);
    one->follower->changed();
    run(5000);
    EXPECT_TRUE(one->recorder->erased.empty()) << "it has been asked to save";
    EXPECT_TRUE(*database_->snapshot()->get(stores::kMeta, "old"));
    disk_.repair();
    ASSERT_TRUE(database_->resume().ok());
    run(60'000);
    EXPECT_TRUE(one->recorder->saves.back());
    EXPECT_FALSE(*database_->snapshot()->get(stores::kMeta, "old"))
        << one->follower->options().name;
  }
}

TEST_F(FollowerTest, StoppingEndsWithinThePageAndKeepsThePlace) {
  Options options = events();
  options.entries_max = 2;
  {
    auto& one = make(options);
    one->takes = Millis(100);
    start();
    commit(Stream::kEvents, 10);
    run(10);
    EXPECT_FALSE(wait(one.follower->stop(Millis(20)))) << "it is in a page";
    EXPECT_TRUE(wait(one.follower->stop(Millis(200))));
    EXPECT_EQ(one->seen, (Positions{1, 2}));
    run(5000);
    EXPECT_EQ(one->seen, (Positions{1, 2}));
    committer_->stop();
  }
  crash();
  auto& again = make(options);
  start();
  run(100);
  EXPECT_EQ(again->seen, (Positions{3, 4, 5, 6, 7, 8, 9, 10}));
}

TEST_F(FollowerTest, AllAreStoppedTogetherAlsoWhileOneWaitsAfterAFailure) {
  auto& failing = make(events("failing"));
  failing->reads_to_fail = 1'000'000;
  make(events("idle"));
  start();
  commit(Stream::kEvents);
  run(600'000);
  const auto began = simulation_->clock().steady();
  EXPECT_TRUE(wait(followers_->stop(Millis(100))));
  EXPECT_LE(simulation_->clock().steady() - began, std::chrono::milliseconds(10));
}

TEST_F(FollowerTest, LagIsWhatIsVisibleAndNotHandled) {
  auto& slow = make(events("slow"));
  make(events("quick"));
  metrics::Registry registry;
  registry.add([this](metrics::Sink& sink) { followers_->probe(sink); });
  start();
  run(10);
  slow->takes = Millis(60'000);
  commit(Stream::kEvents, 2);
  commit(Stream::kDeviceLists);
  run(30'000);
  EXPECT_EQ(slow.follower->lag().positions, 3u);
  EXPECT_GE(slow.follower->lag().time, std::chrono::seconds(29));
  EXPECT_LE(slow.follower->lag().time, std::chrono::seconds(31));
  const std::string text = registry.text();
  EXPECT_NE(text.find("polder_follower_lag_positions{follower=\"slow\"} 3"), text.npos) << text;
  EXPECT_NE(text.find("polder_follower_lag_positions{follower=\"quick\"} 0"), text.npos) << text;
  EXPECT_NE(text.find("polder_follower_lag_seconds{follower=\"quick\"} 0"), text.npos) << text;
  run(20'000);
  commit(Stream::kEvents);
  run(20'000);  // the first page is done, the second under way
  EXPECT_EQ(slow.follower->lag().positions, 2u);
  EXPECT_LE(slow.follower->lag().time, std::chrono::seconds(71));
  EXPECT_GE(slow.follower->lag().time, std::chrono::seconds(19));
  run(60'000);
  EXPECT_EQ(slow.follower->lag().positions, 0u);
  EXPECT_EQ(slow.follower->lag().time.count(), 0);
}

TEST_F(FollowerTest, OneThatBeginsNowIsToldNothingThatWasBefore) {
  commit(Stream::kEvents, 3);
  Options options = events();
  options.start = Start::kNow;
  {
    auto& one = make(options);
    start();
    run(100);
    EXPECT_TRUE(one->seen.empty());
    EXPECT_EQ(saved("one"), 3u);
  }
  // Whatever comes from then on is not left out, whenever it goes on.
  crash();
  commit(Stream::kEvents);
  auto& again = make(options);
  start();
  run(100);
  EXPECT_EQ(again->seen, (Positions{4}));
}

TEST_F(FollowerTest, OneThatBeginsFromACheckpointIsToldWhatComesBehindIt) {
  commit(Stream::kEvents, 3);
  Options options = events();
  options.start = Start::kCheckpoint;
  {
    auto& one = make(options);
    one->checkpoints_to_fail = 1;
    start();
    run(100);
    EXPECT_EQ(saved("one"), std::nullopt);
    commit(Stream::kEvents);
    run(5000);
    EXPECT_EQ(one->checkpoints, (Positions{4}));
    EXPECT_EQ(saved("one"), 4u);
    commit(Stream::kEvents);
    run(100);
    EXPECT_EQ(one->seen, (Positions{5}));
  }
  crash();
  auto& again = make(options);
  start();
  run(100);
  EXPECT_TRUE(again->checkpoints.empty());
  EXPECT_EQ(again->seen, (Positions{5}));
}

TEST_F(FollowerTest, WhoWaitsForAPositionWaitsUntilItIsHandled) {
  auto& one = make(events());
  one->takes = Millis(500);
  start();
  run(10);
  commit(Stream::kEvents, 2);
  EXPECT_FALSE(wait(one.follower->reached(2, Millis(100))));
  EXPECT_TRUE(wait(one.follower->reached(2, Millis(1000))));
  EXPECT_EQ(one->seen, (Positions{1, 2}));
  commit(Stream::kDeviceLists);
  EXPECT_TRUE(wait(one.follower->reached(3, Millis(100)))) << "there is nothing to handle";
}

}  // namespace
}  // namespace polder::feed
