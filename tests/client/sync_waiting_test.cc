// What a sync waits for.
#include "homeserver/server/consistency.h"
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class SyncWaitingTest : public HomeserverTest {};

TEST_F(SyncWaitingTest, AConversationReachesBothAndOutlivesACrash) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room =
      create_room(alice, R"({"preset":"private_chat","name":"Room","invite":["@bob:own"]})");
  const Answer invited = call("GET", "/_matrix/client/v3/sync", bob);
  EXPECT_NE(invited.text({"rooms", "invite", room, "invite_state", "events"}).find("m.room.name"),
            std::string::npos);
  EXPECT_EQ(say(bob, room, "too early", "0").status, 403);
  EXPECT_EQ(call("POST", rooms(room, "/join"), bob).status, 200);
  const Answer first = call("GET", "/_matrix/client/v3/sync", bob);
  const Answer sent = say(alice, room, "hello", "1");
  EXPECT_EQ(sent.status, 200);
  // The same transaction again is the same event.
  EXPECT_EQ(say(alice, room, "hello", "1").text({"event_id"}), sent.text({"event_id"}));
  const Answer second =
      call("GET", "/_matrix/client/v3/sync?since=" + first.text({"next_batch"}), bob);
  EXPECT_EQ(bodies(second, room), "hello;");
  crash();
  EXPECT_EQ(say(alice, room, "hello", "1").text({"event_id"}), sent.text({"event_id"}));
  EXPECT_EQ(say(bob, room, "after", "1").status, 200);
  const Answer third =
      call("GET", "/_matrix/client/v3/sync?since=" + second.text({"next_batch"}), alice);
  EXPECT_EQ(bodies(third, room), "after;");
  const auto report = check_consistency(*database_);
  EXPECT_EQ(report->faults, std::vector<std::string>{});
}

TEST_F(SyncWaitingTest, ALongPollWakesUpForAMessageAndForAnInvite) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  Answer sync = call("GET", "/_matrix/client/v3/sync", bob);
  auto waiting = begin(
      "GET", "/_matrix/client/v3/sync?timeout=30000&since=" + sync.text({"next_batch"}), bob, "");
  simulation_->run_for(Millis(5000));
  EXPECT_FALSE(waiting->has_value());
  call("POST", rooms(room, "/invite"), alice, R"({"user_id":"@bob:own"})");
  simulation_->run_for(Millis(1000));
  ASSERT_TRUE(waiting->has_value());
  EXPECT_NE((*waiting)->text({"rooms", "invite", room}), "");
  call("POST", rooms(room, "/join"), bob);
  sync = call("GET", "/_matrix/client/v3/sync?since=" + (*waiting)->text({"next_batch"}), bob);
  EXPECT_NE(sync.text({"rooms", "join", room}).find("m.room.create"), std::string::npos);
  waiting = begin("GET", "/_matrix/client/v3/sync?timeout=30000&since=" + sync.text({"next_batch"}),
                  bob, "");
  simulation_->run_for(Millis(5000));
  EXPECT_FALSE(waiting->has_value());
  say(alice, room, "wake up", "1");
  simulation_->run_for(Millis(1000));
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ(bodies(**waiting, room), "wake up;");
  // Without news, the time passes.
  waiting = begin("GET",
                  "/_matrix/client/v3/sync?timeout=30000&since=" + (*waiting)->text({"next_batch"}),
                  bob, "");
  simulation_->run_for(Millis(31'000));
  EXPECT_TRUE(waiting->has_value());
}

}  // namespace
}  // namespace polder::server
