// Servers that do not answer or that refuse, and a sender that is cut off itself.
#include "federation/sender/testing/sender.h"

namespace polder::sender {
namespace {

TEST_F(SenderTest, AnOutageIsCaughtUpWithEvenIfTheQueueOverflowed) {
  start();
  set_room({kOwn, kB, kC});
  servers_->failing[kB] = ErrorCode::kUnavailable;
  for (int i = 0; i < 700; ++i)
    send("e" + std::to_string(i));
  run(5000);
  EXPECT_EQ(servers_->types[kC].size(), 700u);
  EXPECT_FALSE(servers_->types.contains(kB));
  servers_->failing.clear();
  sender_->heard_from(kB);
  run(10'000);
  ASSERT_EQ(servers_->types[kB].size(), 700u);
  for (size_t i = 0; i < 700; ++i)
    EXPECT_EQ(servers_->types[kB][i], "e" + std::to_string(i));
  send("after");
  run(1000);
  EXPECT_EQ(servers_->types[kB].back(), "after");
  EXPECT_EQ(servers_->types[kB].size(), 701u);
}

TEST_F(SenderTest, APowerCutLosesNoEvent) {
  start();
  set_room({kOwn, kB, kC});
  servers_->failing[kB] = ErrorCode::kUnavailable;
  for (int i = 0; i < 20; ++i) {
    send("e" + std::to_string(i));
    run(300);
  }
  EXPECT_EQ(servers_->types[kC].size(), 20u);
  halt();
  disk_.power_loss();
  boot();
  start();
  run(10'000);
  ASSERT_EQ(servers_->types[kB].size(), 20u);
  for (size_t i = 0; i < 20; ++i)
    EXPECT_EQ(servers_->types[kB][i], "e" + std::to_string(i));
  EXPECT_LT(servers_->types[kC].size(), 10u);  // what was not yet written down is sent again
  halt();
  boot();
  start();
  run(10'000);
  EXPECT_EQ(servers_->calls, 0);
}

TEST_F(SenderTest, WhatAServerRefusesDoesNotHoldUpTheRest) {
  set_room({kOwn, kB});
  servers_->refused = "bad";
  for (const char* type : {"one", "bad", "two", "three"})
    send(type);
  start();
  run(10'000);
  EXPECT_EQ(servers_->types[kB], (Types{"one", "two", "three"}));
}

TEST_F(SenderTest, AServerThatForbidsIsNotAskedAllTheTime) {
  start();
  set_room({kOwn, kB});
  servers_->failing[kB] = ErrorCode::kForbidden;
  send("one");
  run(600'000);
  EXPECT_GT(servers_->calls, 3);
  EXPECT_LT(servers_->calls, 12);
  servers_->failing.clear();
  sender_->heard_from(kB);
  run(1000);
  EXPECT_EQ(servers_->types[kB], (Types{"one"}));
}

// It cannot have the sender's key yet, say. An outage before that is no reason to wait for an hour.
TEST_F(SenderTest, AServerThatForbidsAfterAnOutageIsAskedAgainSoon) {
  start();
  set_room({kOwn, kB});
  servers_->failing[kB] = ErrorCode::kUnavailable;
  send("one");
  hear_from_b(12);
  servers_->failing[kB] = ErrorCode::kForbidden;
  sender_->heard_from(kB);
  run(1000);
  servers_->failing.clear();
  run(20'000);
  EXPECT_EQ(servers_->types[kB], (Types{"one"}));
}

// It asks for keys no more than once a minute, say, and sends all the time.
TEST_F(SenderTest, AServerThatForbidsAndIsHeardFromIsNotLeftAloneForLonger) {
  start();
  set_room({kOwn, kB});
  servers_->failing[kB] = ErrorCode::kForbidden;
  send("one");
  hear_from_b(12);
  run(1000);
  EXPECT_GE(servers_->calls, 12);  // each time
  servers_->failing.clear();
  run(30'000);
  EXPECT_EQ(servers_->types[kB], (Types{"one"}));
}

TEST_F(SenderTest, ATransactionKeepsItsIdAndWhatItHasUntilItIsAnswered) {
  start();
  set_room({kOwn, kB});
  servers_->failing[kB] = ErrorCode::kUnavailable;
  source_.pending[kB] = {"m.direct_to_device"};
  send("one");
  run(3000);
  send("two");
  sender_->send_short_lived({kB}, {{"m.typing", {}}, "", Millis(30'000)});
  sender_->heard_from(kB);
  run(3000);
  halt();
  const auto before = servers_paths_;
  boot();
  servers_->failing[kB] = ErrorCode::kUnavailable;
  start();
  run(3000);
  ASSERT_GE(before.size(), 2u);
  EXPECT_EQ(std::set<std::string>(before.begin(), before.end()).size(), 1u);
  EXPECT_EQ(servers_->paths.front(), before.front());
  servers_->failing.clear();
  sender_->heard_from(kB);
  run(3000);
  EXPECT_EQ(servers_->types[kB], (Types{"one", "two"}));
  EXPECT_EQ(std::set<std::string>(servers_->paths.begin(), servers_->paths.end()).size(), 2u);
}

// Both may be the same once more.
TEST_F(SenderTest, WhatIsShortLivedNeverHasTheIdOfAnother) {
  start();
  for (int i = 0; i < 2; ++i) {
    sender_->send_short_lived({kB}, {{"m.typing", {}}, "", Millis(30'000)});
    run(1000);
  }
  EXPECT_EQ(servers_->edus[kB].size(), 2u);
}

}  // namespace
}  // namespace polder::sender
