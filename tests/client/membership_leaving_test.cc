// Leaving and forgetting rooms, as the client-server API tells of it.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

constexpr std::string_view kWithLeft = R"({"room":{"include_leave":true}})";

class LeavingTest : public HomeserverTest {
 protected:
  // How many events a list of a room that was left has; -1 if the room is not there.
  static int left(const Answer& answer, const std::string& room, std::string_view list) {
    const json::Value* events =
        json::at(*answer.body.as_object(), {"rooms", "leave", room, list, "events"});
    return events == nullptr ? -1 : static_cast<int>(events->as_array()->size());
  }
  static std::string first_membership(const Answer& answer, const std::string& room) {
    const json::Value* events =
        json::at(*answer.body.as_object(), {"rooms", "leave", room, "timeline", "events"});
    return *json::at(*(*events->as_array())[0].as_object(), {"content", "membership"})->as_string();
  }
};

TEST_F(LeavingTest, WhoWasNeverInARoomIsToldOfItsEndAndOfNothingElse) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string target = R"({"user_id":"@bob:own"})";
  const struct {
    std::string join_rule;
    std::function<int(const std::string&)> begin, end;
    std::string last;
  } cases[] = {
      {"knock",
       [&](const std::string& room) {
         return call("POST", "/_matrix/client/v3/knock/" + room, bob, "{}").status;
       },
       [&](const std::string& room) { return call("POST", rooms(room, "/leave"), bob).status; },
       "leave"},
      {"knock",
       [&](const std::string& room) {
         return call("POST", "/_matrix/client/v3/knock/" + room, bob, "{}").status;
       },
       [&](const std::string& room) {
         return call("POST", rooms(room, "/kick"), alice, target).status;
       },
       "leave"},
      {"invite",
       [&](const std::string& room) {
         return call("POST", rooms(room, "/invite"), alice, target).status;
       },
       [&](const std::string& room) { return call("POST", rooms(room, "/leave"), bob).status; },
       "leave"},
      {"invite",
       [&](const std::string& room) {
         return call("POST", rooms(room, "/invite"), alice, target).status;
       },
       [&](const std::string& room) {
         return call("POST", rooms(room, "/ban"), alice, target).status;
       },
       "ban"},
  };
  for (const auto& one : cases) {
    const std::string room = create_room(
        alice, R"({"initial_state":[{"type":"m.room.join_rules","content":{"join_rule":")" +
                   one.join_rule + R"("}}],"topic":"Secret"})");
    ASSERT_EQ(one.begin(room), 200);
    const std::string since = sync(bob).text({"next_batch"});
    ASSERT_EQ(one.end(room), 200);
    for (const Answer& answer : {sync(bob, since), sync(bob, "", std::string(kWithLeft))}) {
      ASSERT_EQ(left(answer, room, "timeline"), 1) << one.join_rule;
      EXPECT_EQ(first_membership(answer, room), one.last);
      EXPECT_EQ(left(answer, room, "state"), 0);
    }
    EXPECT_EQ(left(sync(bob), room, "timeline"), -1);
  }
}

TEST_F(LeavingTest, ARoomThatWasJoinedAndLeftSinceComesWithItsState) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  for (int i = 0; i < 15; ++i)
    say(alice, room, "old", std::to_string(i));
  const std::string since = sync(bob).text({"next_batch"});
  call("POST", rooms(room, "/join"), bob);
  call("POST", rooms(room, "/leave"), bob);
  const Answer answer = sync(bob, since);
  EXPECT_NE(answer.text({"rooms", "leave", room, "state"}).find("m.room.create"),
            std::string::npos);
}

TEST_F(LeavingTest, AForgottenRoomIsShownOnlyToWhoDoesNotKnowThatItWasLeft) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  call("POST", rooms(room, "/join"), bob);
  const std::string said = say(alice, room, "hello", "1").text({"event_id"});
  const std::string since = sync(bob).text({"next_batch"});
  call("POST", rooms(room, "/leave"), bob);
  EXPECT_EQ(call("GET", rooms(room, "/messages?dir=b"), bob).status, 200);
  EXPECT_EQ(call("POST", rooms(room, "/forget"), bob).status, 200);
  for (const char* path : {"/messages", "/messages?dir=b", "/state", "/members"})
    EXPECT_EQ(call("GET", rooms(room, path), bob).status, 403) << path;
  EXPECT_EQ(call("GET", rooms(room, "/event/" + said), bob).status, 404);
  EXPECT_EQ(left(sync(bob, since), room, "timeline"), 1);
  EXPECT_EQ(left(sync(bob, since), room, "state"), 0);
  EXPECT_EQ(left(sync(bob, "", std::string(kWithLeft)), room, "timeline"), -1);
  EXPECT_EQ(call("POST", rooms(room, "/join"), bob).status, 200);
  EXPECT_EQ(call("GET", rooms(room, "/event/" + said), bob).status, 200);
  EXPECT_NE(sync(bob).text({"rooms", "join", room}), "");
}

TEST_F(LeavingTest, OnlyWhoIsOutOfARoomForgetsIt) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice);
  EXPECT_EQ(call("POST", rooms(room, "/forget"), bob).status, 404);
  EXPECT_EQ(call("POST", rooms("!none:own", "/forget"), bob).status, 404);
  EXPECT_EQ(call("POST", rooms(room, "/forget"), alice).text({"errcode"}), "M_UNKNOWN");
  call("POST", rooms(room, "/invite"), alice, R"({"user_id":"@bob:own"})");
  EXPECT_EQ(call("POST", rooms(room, "/forget"), bob).status, 400);
}

// A membership that is on its way to the disk is not overwritten by the one before it.
TEST_F(LeavingTest, ForgettingDoesNotUndoAnInviteThatComesMeanwhile) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice);
  const std::string target = R"({"user_id":"@bob:own"})";
  for (int i = 0; i < 20; ++i) {
    call("POST", rooms(room, "/kick"), alice, target);
    const auto invited = begin("POST", rooms(room, "/invite"), alice, target);
    const auto forgotten = begin("POST", rooms(room, "/forget"), bob, "");
    ASSERT_TRUE(simulation_->run_until(
        [&] { return invited->has_value() && forgotten->has_value(); }, Millis(60'000)));
    EXPECT_EQ((*invited)->status, 200);
    EXPECT_NE(sync(bob).text({"rooms", "invite", room}), "") << (*forgotten)->status;
  }
}

}  // namespace
}  // namespace polder::server
