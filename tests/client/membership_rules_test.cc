// Joins, invites, kicks, bans, and what ends them.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class MembershipRulesTest : public HomeserverTest {};

TEST_F(MembershipRulesTest, WhoIsInvitedOrKnocksSeesTheEndOfIt) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room =
      create_room(alice, R"({"preset":"private_chat","initial_state":[{"type":"m.room.join_rules",)"
                         R"("state_key":"","content":{"join_rule":"knock"}}]})");
  const std::string of_bob = R"({"user_id":"@bob:own"})";
  const auto invite = [&] { return call("POST", rooms(room, "/invite"), alice, of_bob).status; };
  const auto knock = [&] { return call("POST", "/_matrix/client/v3/knock/" + room, bob).status; };
  const auto by_alice = [&](const char* what) {
    return call("POST", rooms(room, what), alice, of_bob).status;
  };
  const auto by_bob = [&] { return call("POST", rooms(room, "/leave"), bob).status; };
  struct Case {
    const char* what;
    std::function<int()> begin;
    std::function<int()> end;
    std::string membership;
  };
  for (const Case& c : std::vector<Case>{
           {"an invite is declined", invite, by_bob, "leave"},
           {"an invite is taken back", invite, [&] { return by_alice("/kick"); }, "leave"},
           {"a knock is taken back", knock, by_bob, "leave"},
           {"a knock is refused", knock, [&] { return by_alice("/kick"); }, "leave"},
           {"a ban ends it", invite, [&] { return by_alice("/ban"); }, "ban"}}) {
    EXPECT_EQ(c.begin(), 200) << c.what;
    const Answer before = call("GET", "/_matrix/client/v3/sync", bob);
    EXPECT_EQ(c.end(), 200) << c.what;
    const Answer after =
        call("GET", "/_matrix/client/v3/sync?since=" + before.text({"next_batch"}), bob);
    const json::Value* events =
        json::at(*after.body.as_object(), {"rooms", "leave", room, "timeline", "events"});
    ASSERT_NE(events, nullptr) << c.what;
    ASSERT_EQ(events->as_array()->size(), 1u) << c.what << json::write(*events);
    const json::Object& event = *events->as_array()->front().as_object();
    EXPECT_EQ(*event.find_string("state_key"), "@bob:own") << c.what;
    EXPECT_EQ(*event.find_object("content")->find_string("membership"), c.membership) << c.what;
  }
}

TEST_F(MembershipRulesTest, MembershipFollowsTheRules) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice);
  const std::string target = R"({"user_id":"@bob:own"})";
  EXPECT_EQ(call("POST", rooms(room, "/join"), bob).status, 403);
  EXPECT_EQ(call("POST", rooms(room, "/kick"), alice, target).status, 403);
  EXPECT_EQ(call("POST", rooms(room, "/invite"), alice, target).status, 200);
  EXPECT_EQ(call("POST", rooms(room, "/join"), bob).status, 200);
  EXPECT_EQ(call("POST", rooms(room, "/join"), bob).status, 200);
  EXPECT_EQ(call("POST", rooms(room, "/forget"), bob).status, 400);
  EXPECT_EQ(call("POST", rooms(room, "/ban"), bob, R"({"user_id":"@alice:own"})").status, 403);
  EXPECT_EQ(call("POST", rooms(room, "/ban"), alice, target).status, 200);
  EXPECT_EQ(call("POST", rooms(room, "/join"), bob).status, 403);
  EXPECT_EQ(call("POST", rooms(room, "/unban"), alice, target).status, 200);
  EXPECT_EQ(call("POST", rooms(room, "/unban"), alice, target).status, 403);
  EXPECT_EQ(call("POST", rooms(room, "/forget"), bob).status, 200);
  EXPECT_EQ(call("GET", "/_matrix/client/v3/joined_rooms", bob).text({"joined_rooms"}), "[]");
}

}  // namespace
}  // namespace polder::server
