#include "homeserver/sync/classic/waiters.h"

#include "homeserver/sync/classic/testing/sync.h"

namespace polder::sync {
namespace {

constexpr stores::UserNumber kUser = 5;
constexpr stores::RoomNumber kRoom = 7, kOther = 8;
constexpr Millis kSoon{1};

class WaitersTest : public SyncTest {
 protected:
  void SetUp() override {
    waiters_ = std::make_unique<Waiters>(*runtime_, *database_, *committer_);
  }

  std::unique_ptr<Waiters> waiters_;
};

TEST_F(WaitersTest, WhatIsTouchedWhileARequestLooksCounts) {
  const auto look = [](Waiters& waiters, runtime::Runtime& runtime) -> Task<bool> {
    Waiters::Waiter waiter(waiters, kUser);
    waiter.begin();
    waiters.wake_room(kRoom);
    co_await runtime::sleep_for(runtime, kSoon);
    // Only now it is known which rooms count.
    waiter.watch({kOther});
    EXPECT_FALSE(waiter.touched());
    waiter.watch({kRoom, kOther});
    EXPECT_TRUE(waiter.touched());
    waiter.begin();
    EXPECT_FALSE(waiter.touched());
    EXPECT_FALSE(co_await waiter.wait_for(kSoon));
    waiters.wake_room(kOther);
    EXPECT_TRUE(co_await waiter.wait_for(kSoon));
    EXPECT_TRUE(waiter.touched());
    co_return true;
  };
  EXPECT_TRUE(run(look(*waiters_, *runtime_)));
}

TEST(OwnAnswers, WhatWaitsForAnAnswerGoesWhenItHasLeftOrTakesTooLong) {
  const auto simulation = runtime::Simulation::create(1);
  const auto runtime = simulation->add_runtime("a");
  OwnAnswers answers(*runtime);
  std::vector<stores::UserNumber> told;
  const auto tell = [&](stores::UserNumber user) {
    answers.when_left(user, [&told, user] { told.push_back(user); });
  };
  tell(1);
  EXPECT_EQ(told, std::vector<stores::UserNumber>{1}) << "nothing is under way";
  told.clear();
  answers.begin(1);
  answers.begin(1);
  answers.begin(2);
  tell(1);
  tell(2);
  tell(3);
  simulation->run_for(kOwnAnswerLongest / 2);
  EXPECT_EQ(told, std::vector<stores::UserNumber>{3});
  answers.end(1);
  EXPECT_EQ(told, std::vector<stores::UserNumber>{3}) << "another request is under way";
  answers.end(1);
  EXPECT_EQ(told, (std::vector<stores::UserNumber>{3, 1}));
  simulation->run_for(kOwnAnswerLongest);
  EXPECT_EQ(told, (std::vector<stores::UserNumber>{3, 1, 2})) << "nobody reads that answer";
  answers.end(2);
  EXPECT_EQ(told.size(), 3u);
}

TEST_F(WaitersTest, OneThatWaitedInVainForTooMuchLooksAgain) {
  const auto look = [](Waiters& waiters, runtime::Runtime& runtime) -> Task<bool> {
    Waiters::Waiter waiter(waiters, kUser);
    for (stores::RoomNumber room = 100; room < 2000; ++room)
      waiters.wake_room(room);
    co_await runtime::sleep_for(runtime, kSoon);
    co_return waiter.touched();
  };
  EXPECT_TRUE(run(look(*waiters_, *runtime_)));
}

TEST_F(WaitersTest, ManyOfOneRoomComeAndGoInAnyOrder) {
  const auto crowd = [](Waiters& waiters, runtime::Runtime& runtime) -> Task<bool> {
    std::vector<std::unique_ptr<Waiters::Waiter>> waiting;
    for (stores::UserNumber user = 0; user < 2000; ++user) {
      waiting.push_back(std::make_unique<Waiters::Waiter>(waiters, user % 10));
      waiting.back()->watch({kRoom});
    }
    for (size_t i = 0; i < waiting.size(); i += 3)
      waiting[i] = nullptr;
    waiters.wake_room(kRoom);
    co_await runtime::sleep_for(runtime, kSoon);
    for (const auto& waiter : waiting) {
      if (waiter) EXPECT_TRUE(waiter->touched());
    }
    waiting.clear();
    Waiters::Waiter last(waiters, kUser);
    last.watch({kRoom});
    waiters.wake_room(kRoom);
    co_return co_await last.wait_for(kSoon);
  };
  EXPECT_TRUE(run(crowd(*waiters_, *runtime_)));
}

}  // namespace
}  // namespace polder::sync
