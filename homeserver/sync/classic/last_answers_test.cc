#include "homeserver/sync/classic/last_answers.h"

#include "homeserver/sync/classic/testing/sync.h"

namespace polder::sync {
namespace {

constexpr stores::UserNumber kUser = 5;
constexpr stores::RoomNumber kRoom = 7;
constexpr Millis kSoon{1};

class LastAnswersTest : public SyncTest {
 protected:
  void SetUp() override {
    waiters_ = std::make_unique<Waiters>(*runtime_, *database_, *committer_);
    answers_ = std::make_unique<LastAnswers>(runtime_->shard_count(), kKept);
  }
  void TearDown() override { answers_.reset(); }

  // The rest runs on a shard.
  template <class F>
  void on_shard(F f) {
    const auto task = [](F body) -> Task<bool> {
      co_await body();
      co_return true;
    };
    EXPECT_TRUE(run(task(std::move(f))));
  }
  void keep(stores::UserNumber user, kv::Position position) {
    auto waiter = std::make_unique<Waiters::Waiter>(*waiters_, user);
    waiter->watch({kRoom});
    answers_->keep(0, {user, device_, token(position), filter_, std::move(waiter)});
  }
  bool takes(stores::UserNumber user, kv::Position position) {
    return answers_->take(0, user, device_, token(position), filter_) != nullptr;
  }
  static StreamToken token(kv::Position position) {
    return {.position = position, .typing_changes = 0, .to_device = position};
  }

  static constexpr size_t kKept = 3;
  const DeviceId device_ = DeviceId::trusted("PHONE");
  const std::shared_ptr<const Filter> filter_ = std::make_shared<const Filter>();
  std::unique_ptr<Waiters> waiters_;
  std::unique_ptr<LastAnswers> answers_;
};

TEST_F(LastAnswersTest, WhoGoesOnFromTheLastAnswerNeedNotLook) {
  on_shard([this]() -> Task<void> {
    keep(kUser, 9);
    EXPECT_EQ(answers_->kept(), 1u);
    EXPECT_TRUE(takes(kUser, 9));
    EXPECT_FALSE(takes(kUser, 9)) << "taken once";
    EXPECT_EQ(answers_->kept(), 0u);
    co_return;
  });
}

TEST_F(LastAnswersTest, WhoGoesOnFromElsewhereLooks) {
  on_shard([this]() -> Task<void> {
    keep(kUser, 9);
    EXPECT_FALSE(takes(kUser, 8)) << "another answer, perhaps lost on its way";
    keep(kUser, 9);
    EXPECT_FALSE(takes(kUser + 1, 9));
    const auto other = std::make_shared<const Filter>();
    EXPECT_EQ(answers_->take(0, kUser, device_, token(9), other), nullptr);
    co_return;
  });
}

TEST_F(LastAnswersTest, WhatWasTouchedSinceIsLookedAt) {
  on_shard([this]() -> Task<void> {
    keep(kUser, 9);
    waiters_->wake_room(kRoom + 1);
    co_await runtime::sleep_for(*runtime_, kSoon);
    EXPECT_TRUE(takes(kUser, 9)) << "none of the user's rooms";
    keep(kUser, 9);
    waiters_->wake_room(kRoom);
    co_await runtime::sleep_for(*runtime_, kSoon);
    EXPECT_FALSE(takes(kUser, 9));
  });
}

TEST_F(LastAnswersTest, OfTooManyTheOldestGo) {
  on_shard([this]() -> Task<void> {
    for (stores::UserNumber user = 1; user <= kKept + 1; ++user)
      keep(user, 9);
    EXPECT_EQ(answers_->kept(), kKept);
    EXPECT_FALSE(takes(1, 9));
    EXPECT_TRUE(takes(2, 9));
    co_return;
  });
}

}  // namespace
}  // namespace polder::sync
