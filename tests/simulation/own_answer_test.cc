// Whoever enters a room has the answer before their own polls tell of it.
#include "homeserver/sync/classic/own_answers.h"

#include <gtest/gtest.h>

#include "tests/simulation/world.h"

namespace polder::simulation {
namespace {

constexpr Millis kSoon{200};
constexpr Millis kLimit{60'000};

class OwnAnswerTest : public testing::Test {
 protected:
  static constexpr size_t kAlices = 0, kBobs = 1;

  Answer call(size_t server, ClientCall request) {
    std::optional<Answer> answer;
    world_.call(server, std::move(request), [&](const Answer& given) { answer = given; });
    EXPECT_TRUE(world_.run_until([&] { return answer.has_value(); }, kLimit));
    return answer.value_or(Answer());
  }
  std::string token(size_t server, const std::string& name) {
    const Answer made = call(
        server,
        {"POST", "/_matrix/client/v3/register", "",
         R"({"auth":{"type":"m.login.dummy"},"password":"secret","username":")" + name + "\"}"});
    EXPECT_EQ(made.status, 200) << made.text({"error"});
    return made.text({"access_token"});
  }
  std::string public_room(size_t server, const std::string& user) {
    return call(server,
                {"POST", "/_matrix/client/v3/createRoom", user, R"({"preset":"public_chat"})"})
        .text({"room_id"});
  }
  // Enters the room beside a poll. The answer leaves when the test says so.
  void enter(size_t server, const std::string& user, const std::string& room) {
    const Answer now = call(server, {"GET", "/_matrix/client/v3/sync", user});
    const std::string since = now.text({"next_batch"});
    world_.call(server, {"GET", "/_matrix/client/v3/sync?timeout=30000&since=" + since, user},
                [this](const Answer& answer) { polled_ = answer; });
    ClientCall join{"POST", "/_matrix/client/v3/join/" + room + "?via=" + world_.name(kAlices),
                    user, "{}"};
    join.leaving = [this, server] { return leaving(server); };
    world_.call(server, std::move(join), [this](const Answer& answer) { joined_ = answer; });
    ASSERT_TRUE(world_.run_until([this] { return made_; }, kLimit));
  }
  Task<void> leaving(size_t server) {
    made_ = true;
    while (!may_leave_)
      co_await runtime::sleep_for(world_.homeserver(server).rooms().source().runtime, Millis(1));
  }
  bool tells_of(const std::string& room) const {
    return polled_ && !polled_->text({"rooms", "join", room}).empty();
  }

  bool made_ = false;
  bool may_leave_ = false;
  std::optional<Answer> joined_, polled_;
  World world_{11, 2};
};

TEST_F(OwnAnswerTest, OwnPollsTellOfARoomOnceTheAnswerHasLeft) {
  const std::string alice = token(kAlices, "alice");
  const std::string bob = token(kBobs, "bob"), carol = token(kAlices, "carol");
  for (const bool remote : {false, true}) {
    made_ = may_leave_ = false;
    joined_ = polled_ = std::nullopt;
    const std::string room = public_room(kAlices, alice);
    enter(remote ? kBobs : kAlices, remote ? bob : carol, room);
    world_.run_for(kSoon);
    EXPECT_FALSE(polled_) << "remote: " << remote;
    may_leave_ = true;
    world_.run_for(kSoon);
    ASSERT_TRUE(joined_);
    EXPECT_EQ(joined_->status, 200) << joined_->text({"error"});
    EXPECT_TRUE(tells_of(room)) << "remote: " << remote;
  }
}

// Nor do polls that begin in between.
TEST_F(OwnAnswerTest, APollThatBeginsBeforeTheAnswerHasLeftWaitsForIt) {
  const std::string alice = token(kAlices, "alice"), carol = token(kAlices, "carol");
  const std::string room = public_room(kAlices, alice);
  const std::string since =
      call(kAlices, {"GET", "/_matrix/client/v3/sync", carol}).text({"next_batch"});
  ClientCall join{"POST", "/_matrix/client/v3/join/" + room, carol, "{}"};
  join.leaving = [this] { return leaving(kAlices); };
  world_.call(kAlices, std::move(join), [this](const Answer& answer) { joined_ = answer; });
  ASSERT_TRUE(world_.run_until([this] { return made_; }, kLimit));
  world_.call(kAlices, {"GET", "/_matrix/client/v3/sync?timeout=30000&since=" + since, carol},
              [this](const Answer& answer) { polled_ = answer; });
  world_.run_for(kSoon);
  EXPECT_FALSE(polled_);
  may_leave_ = true;
  world_.run_for(kSoon);
  EXPECT_TRUE(tells_of(room));
}

TEST_F(OwnAnswerTest, AnAnswerThatNobodyReadsHoldsUpNoPollForLong) {
  const std::string alice = token(kAlices, "alice"), carol = token(kAlices, "carol");
  const std::string room = public_room(kAlices, alice);
  enter(kAlices, carol, room);
  world_.run_for(sync::kOwnAnswerLongest + kSoon);
  EXPECT_FALSE(joined_);
  EXPECT_TRUE(tells_of(room));
  may_leave_ = true;
  world_.run_for(kSoon);
}

}  // namespace
}  // namespace polder::simulation
