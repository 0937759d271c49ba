// Connections, bytes and time that peers are given.
#include "homeserver/base/http/connection_limiter.h"
#include "homeserver/base/http/held_bytes.h"
#include "homeserver/base/http/pace.h"

namespace polder::http {
namespace {

class SetClock final : public Clock {
 public:
  int64_t wall_ms() const override { return 0; }
  std::chrono::nanoseconds steady() const override { return now; }
  std::chrono::nanoseconds now{0};
};

class CountingLog final : public Log {
 public:
  bool enabled(LogLevel) const override { return true; }
  void write(LogLevel, std::string_view event, std::span<const base::LogField> fields) override {
    lines.emplace_back(event);
    for (const auto& field : fields)
      lines.back().append(" ").append(field.name).append("=").append(field.value);
  }
  std::vector<std::string> lines;
};

class BudgetsTest : public testing::Test {
 protected:
  std::optional<ConnectionLimiter::Slot> admit(const char* address, size_t listener = 0,
                                               bool many = false) {
    return limiter_.admit(*IpAddress::parse(address), listener, many);
  }

  SetClock clock_;
  CountingLog log_;
  ConnectionLimiter limiter_{
      clock_, log_, "refused", {.all = 8, .listener = 6, .network = 4, .address = 2}};
  HeldBytes held_{clock_, log_, "too_much", {.all = 1'000'000, .each = 300'000}};
};

TEST_F(BudgetsTest, ConnectionsAreBoundedByAddressNetworkListenerAndInAll) {
  std::vector<ConnectionLimiter::Slot> inside;
  const auto enters = [&](const char* address, size_t listener = 0, bool many = false) {
    auto slot = admit(address, listener, many);
    if (slot) inside.push_back(*std::move(slot));
    return slot.has_value();
  };
  EXPECT_TRUE(enters("192.0.2.1"));
  EXPECT_TRUE(enters("192.0.2.1"));
  EXPECT_FALSE(enters("192.0.2.1")) << "address";
  EXPECT_TRUE(enters("192.0.2.2"));
  EXPECT_TRUE(enters("192.0.2.3"));
  EXPECT_FALSE(enters("192.0.2.4", 1)) << "network";
  EXPECT_TRUE(enters("192.0.2.4", 0, true)) << "a proxy is many";
  EXPECT_TRUE(enters("2001:db8::1"));
  EXPECT_FALSE(enters("198.51.100.1")) << "listener";
  EXPECT_TRUE(enters("2001:db8::ffff", 1)) << "of one subscriber";
  EXPECT_FALSE(enters("2001:db8::2", 1));
  EXPECT_TRUE(enters("198.51.100.1", 1));
  EXPECT_FALSE(enters("203.0.113.1", 1)) << "all";
  EXPECT_EQ(limiter_.inside(), 8u);
  EXPECT_TRUE(limiter_.full());
  inside.pop_back();
  EXPECT_FALSE(limiter_.full());
  inside.clear();
  EXPECT_EQ(limiter_.inside(), 0u);
  EXPECT_TRUE(enters("192.0.2.1"));
}

TEST_F(BudgetsTest, RefusalsAreOneLineAMinute) {
  const auto first = admit("192.0.2.1");
  const auto second = admit("192.0.2.1");
  for (int i = 0; i < 1000; ++i)
    EXPECT_FALSE(admit("192.0.2.1"));
  clock_.now += std::chrono::seconds(61);
  EXPECT_FALSE(admit("192.0.2.1"));
  EXPECT_EQ(log_.lines,
            (std::vector<std::string>{"refused count=1 limit=address last_address=192.0.2.1",
                                      "refused count=1000 limit=address last_address=192.0.2.1"}));
}

TEST_F(BudgetsTest, WhatOneHoldsIsBoundedUnlessItIsOneThingAlone) {
  const auto never = [] { ADD_FAILURE() << "was ended"; };
  const auto first = held_.share("alice", never);
  EXPECT_TRUE(first->hold(500'000));
  const auto second = held_.share("alice", never);
  EXPECT_TRUE(second->hold(10'000)) << "little is always free";
  EXPECT_FALSE(second->hold(100'000));
  const auto other = held_.share("bob", never);
  EXPECT_TRUE(other->hold(200'000));
  const auto more = held_.share("bob", never);
  EXPECT_TRUE(more->hold(100'000));
  EXPECT_FALSE(more->hold(1));
  EXPECT_EQ(held_.held(), 810'000u);
  more->release(50'000);
  EXPECT_TRUE(more->hold(50'000));
}

TEST_F(BudgetsTest, WhereAllIsTakenTheSlowestIsEnded) {
  std::string ended;
  const auto share = [&](std::string who) {
    return held_.share(who, [&ended, who] { ended += who; });
  };
  const auto slow = share("a");
  EXPECT_TRUE(slow->hold(400'000));
  const auto quick = share("b");
  EXPECT_TRUE(quick->hold(400'000));
  const auto whole = share("c");
  EXPECT_TRUE(whole->hold(150'000));
  whole->settle();
  const auto next = share("d");
  EXPECT_FALSE(next->hold(400'000)) << "nobody is slow yet";
  clock_.now += std::chrono::seconds(2);
  quick->progress();
  EXPECT_TRUE(next->hold(400'000));
  EXPECT_EQ(ended, "a");
  EXPECT_FALSE(slow->hold(1));
  EXPECT_FALSE(share("e")->hold(400'000)) << "who moves stays, and who is answered";
  clock_.now += std::chrono::seconds(2);
  EXPECT_TRUE(share("e")->hold(400'000));
  EXPECT_EQ(ended, "ab");
}

TEST(Pace, PausesAreBoundedAndTheRateIs) {
  Pace pace(Millis(10'000), 1000);
  EXPECT_EQ(pace.timeout(), Millis(10'000));
  EXPECT_EQ(pace.timeout(5000), Millis(15'000));
  pace.moved(std::chrono::seconds(4), 0);
  EXPECT_EQ(pace.timeout(), Millis(6'000));
  pace.moved(std::chrono::seconds(2), 1000);
  EXPECT_EQ(pace.timeout(), Millis(5'000));
  pace.moved(std::chrono::seconds(0), 1'000'000);
  EXPECT_EQ(pace.timeout(), Millis(10'000));
  // A byte now and then is no rate.
  for (int i = 0; i < 10; ++i)
    pace.moved(std::chrono::seconds(1), 1);
  EXPECT_LT(pace.timeout(), Millis(50));
}

}  // namespace
}  // namespace polder::http
