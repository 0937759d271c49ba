#include "homeserver/base/http/rate_limits.h"

#include <atomic>
#include <thread>

namespace polder::http {
namespace {

class HandClock final : public Clock {
 public:
  std::atomic<int64_t> ms = 1'000'000;
  int64_t wall_ms() const override { return ms; }
  std::chrono::nanoseconds steady() const override { return Millis(ms); }
};

class LineLog final : public Log {
 public:
  std::vector<std::string> lines;
  bool enabled(LogLevel) const override { return true; }
  void write(LogLevel, std::string_view event, std::span<const base::LogField> fields) override {
    std::string line(event);
    for (const base::LogField& field : fields)
      line.append(" ").append(field.name).append("=").append(field.value);
    lines.push_back(line);
  }
};

Principal address(std::string_view name) {
  return {Principal::Kind::kAddress, name};
}
Principal user(std::string_view name) {
  return {Principal::Kind::kUser, name};
}

class RateLimitsTest : public testing::Test {
 protected:
  static RateRules rules() {
    RateRules rules = default_rate_rules();
    rules[static_cast<size_t>(RateClass::kMessage)] = {.per_second = 2, .burst = 3};
    rules[static_cast<size_t>(RateClass::kLogin)] = {.per_second = 0.001, .burst = 3};
    return rules;
  }
  int64_t wait(RateClass rate, Principal principal) {
    return limits_.take(rate, principal).value_or(Millis(0)).count();
  }

  HandClock clock_;
  base::SystemRandom random_;
  LineLog log_;
  RateLimits limits_{clock_, random_, log_, true, rules()};
};

TEST_F(RateLimitsTest, ABurstPassesAndThenAsManyAsComeInASecond) {
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(wait(RateClass::kMessage, user("@a:x")), 0) << i;
  EXPECT_EQ(wait(RateClass::kMessage, user("@a:x")), 500);
  EXPECT_EQ(wait(RateClass::kMessage, user("@a:x")), 500) << "a refusal costs nothing";
  clock_.ms += 499;
  EXPECT_EQ(wait(RateClass::kMessage, user("@a:x")), 1);
  clock_.ms += 1;
  EXPECT_EQ(wait(RateClass::kMessage, user("@a:x")), 0);
  EXPECT_EQ(wait(RateClass::kMessage, user("@a:x")), 500);
  clock_.ms += 3'600'000;
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(wait(RateClass::kMessage, user("@a:x")), 0) << "a bucket holds no more than a burst";
  EXPECT_EQ(wait(RateClass::kMessage, user("@a:x")), 500);
}

TEST_F(RateLimitsTest, ClassesAndPrincipalsAreCountedApart) {
  const auto empty = [&](Principal principal) {
    while (!limits_.take(RateClass::kLogin, principal)) {
    }
  };
  empty(user("192.0.2.1"));
  empty(address("2001:db8:0:1::1"));
  struct Case {
    RateClass rate;
    Principal principal;
    bool limited;
  };
  for (const Case& c :
       std::vector<Case>{{RateClass::kLogin, user("192.0.2.1"), true},
                         {RateClass::kMessage, user("192.0.2.1"), false},
                         {RateClass::kNone, user("192.0.2.1"), false},
                         {RateClass::kLogin, user("192.0.2.2"), false},
                         {RateClass::kLogin, address("192.0.2.1"), false},
                         {RateClass::kLogin, {Principal::Kind::kAccount, "192.0.2.1"}, false},
                         {RateClass::kLogin, {Principal::Kind::kServer, "192.0.2.1"}, false},
                         // A subscriber has a network of 64 bits.
                         {RateClass::kLogin, address("2001:db8:0:1:ffff::2"), true},
                         {RateClass::kLogin, address("2001:db8:0:2::1"), false},
                         {RateClass::kLogin, user("2001:db8:0:1:ffff::2"), false}}) {
    EXPECT_EQ(limits_.take(c.rate, c.principal).has_value(), c.limited)
        << to_string(c.rate) << " " << c.principal.name;
  }
}

TEST_F(RateLimitsTest, LookingCountsNothingAndACountCanBeTakenBack) {
  const Principal account{Principal::Kind::kAccount, "@a:x"};
  EXPECT_FALSE(limits_.look(RateClass::kLogin, account));
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(limits_.take(RateClass::kLogin, account)) << i;
    limits_.give_back(RateClass::kLogin, account);
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(limits_.look(RateClass::kLogin, account));
    EXPECT_FALSE(limits_.take(RateClass::kLogin, account));
  }
  EXPECT_TRUE(limits_.look(RateClass::kLogin, account));
  limits_.give_back(RateClass::kLogin, account);
  EXPECT_FALSE(limits_.take(RateClass::kLogin, account));
  EXPECT_TRUE(limits_.take(RateClass::kLogin, account));
}

// More names than there are places, each used once: theirs are fuller, so they make room for one
// another.
TEST_F(RateLimitsTest, AFloodOfNamesFreesNobodyWhoHasToWait) {
  for (const char* name : {"192.0.2.1", "192.0.2.2", "192.0.2.3"}) {
    while (!limits_.take(RateClass::kLogin, address(name))) {
    }
  }
  for (int i = 0; i < 200'000; ++i)
    limits_.take(RateClass::kLogin, address("flood" + std::to_string(i)));
  for (const char* name : {"192.0.2.1", "192.0.2.2", "192.0.2.3"})
    EXPECT_TRUE(limits_.look(RateClass::kLogin, address(name))) << name;
  EXPECT_FALSE(limits_.take(RateClass::kLogin, address("192.0.2.4"))) << "nor stops anybody";
}

TEST_F(RateLimitsTest, ARefusalIsLoggedOnceAMinute) {
  for (int second = 0; second < 125; ++second) {
    limits_.take(RateClass::kLogin, address("192.0.2.1"));
    clock_.ms += 1000;
  }
  ASSERT_EQ(log_.lines.size(), 3u);
  EXPECT_EQ(log_.lines[0], "rate_limited class=login who=192.0.2.1 wait_ms=997000");
}

TEST_F(RateLimitsTest, SwitchedOffNothingIsCounted) {
  RateLimits off(clock_, random_, log_, false, rules());
  for (int i = 0; i < 100; ++i)
    EXPECT_FALSE(off.take(RateClass::kLogin, user("@a:x")));
  EXPECT_FALSE(off.look(RateClass::kLogin, user("@a:x")));
}

TEST_F(RateLimitsTest, ThreadsShareABucket) {
  std::atomic<int> passed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 100; ++k) {
        passed += limits_.take(RateClass::kLogin, user("@a:x")) ? 0 : 1;
        limits_.take(RateClass::kMessage, user(std::to_string(k)));
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(passed, 3);
}

// https://spec.matrix.org/v1.19/client-server-api/#rate-limiting
TEST(Limited, TellsHowLongToWait) {
  for (const auto& [wait, seconds] : std::vector<std::pair<int, std::string>>{
           {1, "1"}, {1000, "1"}, {1001, "2"}, {60'000, "60"}}) {
    const Response response = limited(Millis(wait));
    EXPECT_EQ(response.status, 429);
    EXPECT_EQ(response.headers.find("Retry-After"), seconds);
    EXPECT_EQ(response.body.at(0).bytes,
              R"({"errcode":"M_LIMIT_EXCEEDED","error":"Too many requests","retry_after_ms":)" +
                  std::to_string(wait) + "}");
  }
}

}  // namespace
}  // namespace polder::http
