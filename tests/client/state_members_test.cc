// Who is in a room, now and at a place of its past.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class MembersTest : public HomeserverTest {
 protected:
  // The members that are joined, or the errcode.
  std::string members(const std::string& token, const std::string& room, const std::string& at) {
    const Answer answer = call("GET", rooms(room, "/members?membership=join&at=" + at), token);
    if (answer.status != 200) return answer.text({"errcode"});
    std::set<std::string> found;
    for (const json::Value& event : *answer.body.as_object()->find_array("chunk"))
      found.insert(*event.as_object()->find_string("state_key"));
    std::string all;
    for (const std::string& user : found)
      all += user.substr(1, user.find(':') - 1) + ";";
    return all;
  }
};

TEST_F(MembersTest, OfAPlaceInThePastAreThoseOfThen) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  const Answer first = sync(alice);
  const std::string begin = first.text({"rooms", "join", room, "timeline", "prev_batch"});
  call("POST", rooms(room, "/join"), bob);
  EXPECT_EQ(members(alice, room, begin), "alice;");
  EXPECT_EQ(members(alice, room, first.text({"next_batch"})), "alice;");
  EXPECT_EQ(members(alice, room, sync(alice).text({"next_batch"})), "alice;bob;");
  EXPECT_EQ(members(alice, room, "x"), "M_INVALID_PARAM");
}

TEST_F(MembersTest, AreShownOfTimesThatTheReaderMaySee) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string carol = join_token("carol");
  const std::string room = create_room(
      alice,
      R"({"preset":"public_chat","initial_state":[{"type":"m.room.history_visibility","content":{"history_visibility":"joined"}}]})");
  say(alice, room, "alone", "1");
  const std::string before = sync(alice).text({"next_batch"});
  call("POST", rooms(room, "/join"), bob);
  const std::string during = sync(bob).text({"next_batch"});
  EXPECT_EQ(members(bob, room, before), "M_FORBIDDEN");
  EXPECT_EQ(members(bob, room, during), "alice;bob;");
  call("POST", rooms(room, "/leave"), bob);
  call("POST", rooms(room, "/join"), carol);
  const std::string after = sync(alice).text({"next_batch"});
  EXPECT_EQ(members(bob, room, during), "alice;bob;");
  EXPECT_EQ(members(bob, room, after), "M_FORBIDDEN");
  EXPECT_EQ(members(alice, room, after), "alice;carol;");
}

TEST_F(MembersTest, OfATimeAfterTheReadersStayAreNotShownForAnInviteThatTheyDeclined) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string carol = join_token("carol");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  call("POST", rooms(room, "/join"), bob);
  const std::string during = sync(bob).text({"next_batch"});
  call("POST", rooms(room, "/leave"), bob);
  call("POST", rooms(room, "/join"), carol);
  call("POST", rooms(room, "/invite"), alice, R"({"user_id":"@bob:own"})");
  const std::string invited = sync(bob).text({"next_batch"});
  call("POST", rooms(room, "/leave"), bob);
  const std::string declined = sync(bob).text({"next_batch"});
  EXPECT_EQ(members(bob, room, during), "alice;bob;");
  for (const std::string& token : {invited, declined})
    EXPECT_EQ(members(bob, room, token), "M_FORBIDDEN");
  EXPECT_EQ(members(alice, room, declined), "alice;carol;");
}

// The answer is made in pieces.
TEST_F(MembersTest, OfALargeRoomAreAllToldEachOnce) {
  constexpr int kMembers = 60;
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  const std::string long_name(6000, 'n');
  std::set<std::string> expected = {"@alice:own"};
  for (int i = 0; i < kMembers; ++i) {
    const std::string name = "user" + std::to_string(i);
    const std::string token = join_token(name);
    call("PUT", "/_matrix/client/v3/profile/@" + name + ":own/displayname", token,
         R"({"displayname":")" + long_name + "\"}");
    call("POST", rooms(room, "/join"), token);
    expected.insert("@" + name + ":own");
  }
  const auto told = [&](const std::string& path) {
    const Answer answer = call("GET", rooms(room, path), alice);
    EXPECT_EQ(answer.status, 200);
    const json::Array* events = answer.body.as_array();
    if (events == nullptr) events = answer.body.as_object()->find_array("chunk");
    std::multiset<std::string> found;
    for (const json::Value& event : *events) {
      if (*event.as_object()->find_string("type") == "m.room.member")
        found.insert(*event.as_object()->find_string("state_key"));
    }
    return found;
  };
  const std::multiset<std::string> all(expected.begin(), expected.end());
  for (const char* path : {"/members", "/members?membership=join", "/state"})
    EXPECT_EQ(told(path), all) << path;
  EXPECT_TRUE(told("/members?not_membership=join").empty());
  const Answer joined = call("GET", rooms(room, "/joined_members"), alice);
  EXPECT_EQ(joined.body.as_object()->find_object("joined")->size(), all.size());
}

TEST_F(MembersTest, WithoutAProfileHaveANameThatIsNull) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  const Answer answer = call("GET", rooms(room, "/joined_members"), alice);
  EXPECT_EQ(answer.text({"joined", "@alice:own"}), R"({"avatar_url":null,"display_name":null})");
}

}  // namespace
}  // namespace polder::server
