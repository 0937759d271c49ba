#include "homeserver/users/authentication/session_table.h"

#include <gtest/gtest.h>

#include "homeserver/base/runtime/simulated.h"

namespace polder::users {
namespace {

AuthenticationSession session_with(size_t bytes) {
  GuardedRequest request;
  request.parameters = {{"x", std::string(bytes, 'x')}};
  return AuthenticationSession(request);
}

class SessionTableTest : public testing::Test {
 protected:
  std::unique_ptr<runtime::Simulation> simulation_ = runtime::Simulation::create(1);
};

TEST_F(SessionTableTest, WhoBeginsTooManyLosesTheirOldest) {
  SessionTable sessions(simulation_->clock(), simulation_->random(), {.of_owner = 3});
  const std::string others = sessions.add("bob", session_with(10));
  std::vector<std::string> own;
  for (int i = 0; i < 5; ++i)
    own.push_back(sessions.add("alice", session_with(10)));
  for (size_t i = 0; i < own.size(); ++i)
    EXPECT_EQ(sessions.find(own[i]).has_value(), i >= 2) << i;
  EXPECT_TRUE(sessions.find(others));
  EXPECT_EQ(sessions.size(), 4u);
}

TEST_F(SessionTableTest, AFloodTakesNothingFromAnybodyElse) {
  SessionTable sessions(simulation_->clock(), simulation_->random(),
                        {.of_owner = 50, .bytes = size_t{512} << 10});
  std::vector<std::string> people;
  for (int i = 0; i < 20; ++i)
    people.push_back(sessions.add("user" + std::to_string(i), session_with(100)));
  for (int i = 0; i < 2000; ++i)
    sessions.add("flood" + std::to_string(i % 5), session_with(kSessionBytesMax - 100));
  for (const std::string& id : people)
    EXPECT_TRUE(sessions.find(id)) << id;
  EXPECT_LE(sessions.bytes(), size_t{512} << 10);
}

TEST_F(SessionTableTest, OfEqualOnesTheOldestGoes) {
  SessionTable sessions(simulation_->clock(), simulation_->random(), {.bytes = size_t{256} << 10});
  std::vector<std::string> ids;
  for (int i = 0; i < 1000; ++i)
    ids.push_back(sessions.add("u" + std::to_string(1000 + i), session_with(100)));
  const size_t left = sessions.size();
  ASSERT_LT(left, 1000u);
  ASSERT_GT(left, 100u);
  for (size_t i = 0; i < ids.size(); ++i)
    EXPECT_EQ(sessions.find(ids[i]).has_value(), i >= ids.size() - left) << i;
}

TEST_F(SessionTableTest, SessionsEndWithTime) {
  SessionTable sessions(simulation_->clock(), simulation_->random(), {.age = Millis(1000)});
  const std::string id = sessions.add("alice", session_with(10));
  simulation_->run_for(Millis(600));
  sessions.update(id, session_with(20));
  EXPECT_TRUE(sessions.find(id));
  simulation_->run_for(Millis(400));
  EXPECT_FALSE(sessions.find(id)) << "an update makes it live no longer";
  sessions.update(id, session_with(20));
  EXPECT_FALSE(sessions.find(id));
  EXPECT_EQ(sessions.size(), 0u);
  EXPECT_EQ(sessions.bytes(), 0u);
}

TEST_F(SessionTableTest, BytesAreThoseOfNow) {
  SessionTable sessions(simulation_->clock(), simulation_->random(), {.bytes = size_t{32} << 10});
  sessions.add("alice", session_with(10));
  const std::string bob = sessions.add("bob", session_with(10));
  const size_t small = sessions.bytes();
  sessions.update(bob, session_with(10'010));
  EXPECT_EQ(sessions.bytes(), small + 10'000);
  for (int i = 0; i < 20; ++i)
    sessions.add("carol" + std::to_string(i), session_with(1000));
  EXPECT_FALSE(sessions.find(bob)) << "who has most";
  EXPECT_LE(sessions.bytes(), size_t{32} << 10);
}

}  // namespace
}  // namespace polder::users
