// https://spec.matrix.org/v1.19/client-server-api/#guest-access
#include <gtest/gtest.h>

#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class GuestsTest : public HomeserverTest {
 protected:
  GuestsTest() {
    guests_ = true;
    stop();
    start();
  }

  std::string guest_token(const std::string& body = "{}") {
    const Answer made = call("POST", "/_matrix/client/v3/register?kind=guest", "", body);
    EXPECT_EQ(made.status, 200) << made.text({"error"});
    guest_ = made.text({"user_id"});
    return made.text({"access_token"});
  }
  std::string room_with(const std::string& token, const std::string& guest_access) {
    return create_room(token,
                       R"({"preset":"public_chat","initial_state":[{"type":"m.room.guest_access",
                  "content":{"guest_access":")" +
                           guest_access + R"("}}]})");
  }
  std::string membership(const std::string& token, const std::string& room) {
    return call("GET", rooms(room, "/state/m.room.member/" + guest_), token).text({"membership"});
  }

  std::string guest_;
};

TEST_F(GuestsTest, ComeInWhereTheRoomLetsThemAndTalkThere) {
  const std::string alice = join_token("alice");
  const std::string guest = guest_token();
  const std::string open = room_with(alice, "can_join");
  const std::string closed = room_with(alice, "forbidden");
  EXPECT_EQ(call("POST", rooms(open, "/join"), guest, "{}").status, 200);
  EXPECT_EQ(say(guest, open, "hi", "t").status, 200);
  EXPECT_EQ(bodies(sync(alice), open), "hi;");
  const std::string public_chat = create_room(alice, R"({"preset":"public_chat"})");
  for (const std::string& room : {closed, public_chat}) {
    for (const char* path : {"/join", "/state/m.room.member/"}) {
      const bool state = std::string_view(path) != "/join";
      const Answer refused = call(state ? "PUT" : "POST", rooms(room, path + (state ? guest_ : "")),
                                  guest, R"({"membership":"join"})");
      EXPECT_EQ(refused.status, 403) << path;
      EXPECT_EQ(refused.text({"errcode"}), "M_GUEST_ACCESS_FORBIDDEN") << path;
    }
  }
}

// One answer for rooms that let no guests in, that let nobody in, and that are not there.
TEST_F(GuestsTest, DoNotFindOutWhichRoomsThereAre) {
  const std::string alice = join_token("alice");
  const std::string guest = guest_token();
  const std::string invite_only =
      create_room(alice, R"({"preset":"private_chat","initial_state":[{"type":"m.room.guest_access",
                  "content":{"guest_access":"can_join"}}]})");
  const std::string closed = create_room(alice, R"({"preset":"public_chat"})");
  for (const std::string& room : {invite_only, closed, std::string("!nowhere:own")}) {
    const Answer refused = call("POST", rooms(room, "/join"), guest, "{}");
    EXPECT_EQ(refused.status, 403) << room;
    EXPECT_EQ(refused.text({"errcode"}), "M_GUEST_ACCESS_FORBIDDEN") << room;
    EXPECT_EQ(refused.text({"error"}), "The room lets no guests in, or there is none") << room;
  }
}

TEST_F(GuestsTest, DoNotComeInByARuleThatWasTakenBack) {
  const std::string alice = join_token("alice");
  const std::string guest = guest_token();
  const std::string room = room_with(alice, "can_join");
  const Answer state = call("GET", rooms(room, "/state"), alice);
  std::string rule;
  for (const json::Value& event : *state.body.as_array()) {
    if (*event.as_object()->find_string("type") == "m.room.guest_access")
      rule = *event.as_object()->find_string("event_id");
  }
  ASSERT_NE(rule, "");
  ASSERT_EQ(call("PUT", rooms(room, "/redact/" + rule + "/t"), alice, "{}").status, 200);
  const Answer refused = call("POST", rooms(room, "/join"), guest, "{}");
  EXPECT_EQ(refused.text({"errcode"}), "M_GUEST_ACCESS_FORBIDDEN");
}

TEST_F(GuestsTest, DoNothingThatIsNotListed) {
  const std::string alice = join_token("alice");
  const std::string guest = guest_token();
  const std::string room = room_with(alice, "can_join");
  ASSERT_EQ(call("POST", rooms(room, "/join"), guest, "{}").status, 200);
  struct Case {
    const char* method;
    std::string target;
    std::string body;
  };
  const std::string client = "/_matrix/client/v3";
  const std::vector<Case> refused = {
      {"POST", client + "/createRoom", "{}"},
      {"POST", rooms(room, "/invite"), R"({"user_id":"@alice:own"})"},
      {"POST", rooms(room, "/kick"), R"({"user_id":"@alice:own"})"},
      {"PUT", rooms(room, "/state/m.room.member/@bob:own"), R"({"membership":"invite"})"},
      {"POST", client + "/knock/" + room, "{}"},
      {"PUT", client + "/directory/room/%23x%3Aown", R"({"room_id":")" + room + R"("})"},
      {"PUT", client + "/profile/" + guest_ + "/avatar_url", R"({"avatar_url":"mxc://own/x"})"},
      {"GET", client + "/pushrules/", ""},
      {"POST", client + "/account/password", "{}"},
      {"POST", "/_matrix/media/v3/upload", "x"},
  };
  for (const Case& c : refused) {
    const Answer answer = call(c.method, c.target, guest, c.body);
    EXPECT_EQ(answer.status, 403) << c.target;
    EXPECT_EQ(answer.text({"errcode"}), "M_GUEST_ACCESS_FORBIDDEN") << c.target;
  }
  const std::vector<Case> allowed = {
      {"GET", client + "/account/whoami", ""},
      {"GET", client + "/devices", ""},
      {"GET", client + "/sync", ""},
      {"GET", rooms(room, "/messages?dir=b"), ""},
      {"GET", rooms(room, "/members"), ""},
      {"GET", rooms(room, "/state"), ""},
      {"PUT", client + "/profile/" + guest_ + "/displayname", R"({"displayname":"Guest"})"},
      // State events of any type since v1.2: that of their membership is no field of their profile.
      {"PUT", rooms(room, "/state/m.room.member/" + guest_),
       R"({"membership":"join","avatar_url":"mxc://own/x"})"},
      {"POST", client + "/keys/upload", "{}"},
      {"POST", rooms(room, "/leave"), "{}"},
      {"GET", client + "/capabilities", ""},
      {"POST", client + "/logout", "{}"},
  };
  for (const Case& c : allowed) {
    const bool is_listed = c.target != client + "/capabilities";
    EXPECT_EQ(call(c.method, c.target, guest, c.body).status == 200, is_listed) << c.target;
  }
}

TEST_F(GuestsTest, LeaveOnceTheRoomNoLongerLetsThemIn) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string guest = guest_token();
  const std::string room = room_with(alice, "can_join");
  for (const std::string& token : {bob, guest})
    ASSERT_EQ(call("POST", rooms(room, "/join"), token, "{}").status, 200);
  ASSERT_EQ(call("PUT", rooms(room, "/state/m.room.guest_access/"), alice,
                 R"({"guest_access":"forbidden"})")
                .status,
            200);
  simulation_->run_for(Millis(1000));
  EXPECT_EQ(membership(alice, room), "leave");
  EXPECT_EQ(say(bob, room, "still here", "t").status, 200);
}

TEST_F(GuestsTest, BringNeitherNameNorPassword) {
  const std::string token =
      guest_token(R"({"username":"mallory","password":"pw","device_id":"MINE"})");
  EXPECT_NE(guest_, "@mallory:own");
  const Answer who = call("GET", "/_matrix/client/v3/account/whoami", token);
  EXPECT_NE(who.text({"device_id"}), "MINE");
  EXPECT_EQ(who.text({"is_guest"}), "true");
  const Answer login = call("POST", "/_matrix/client/v3/login", "",
                            R"({"type":"m.login.password","password":"pw","identifier":
                                {"type":"m.id.user","user":")" +
                                guest_ + R"("}})");
  EXPECT_EQ(login.status, 403);
}

}  // namespace
}  // namespace polder::server
