// What createRoom makes of its parameters, and state that nobody may send.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class CreateRoomTest : public HomeserverTest {
 protected:
  std::string state(const std::string& token, const std::string& room, const std::string& type,
                    std::initializer_list<std::string_view> path) {
    return call("GET", rooms(room, "/state/" + type), token).text(path);
  }
};

TEST_F(CreateRoomTest, NameAndTopicOverwriteTheInitialState) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice, R"({"name":"N","topic":"T","initial_state":[
      {"type":"m.room.topic","content":{"topic":"old"}},
      {"type":"m.room.topic","state_key":"x","content":{"topic":"other"}},
      {"type":"m.room.name","content":{"name":"old"}}]})");
  EXPECT_EQ(state(alice, room, "m.room.name", {"name"}), "N");
  EXPECT_EQ(state(alice, room, "m.room.topic", {"topic"}), "T");
  EXPECT_EQ(state(alice, room, "m.room.topic", {"m.topic", "m.text"}),
            R"([{"body":"T","mimetype":"text/plain"}])");
  EXPECT_EQ(state(alice, room, "m.room.topic/x", {"topic"}), "other");
  const Answer messages = call("GET", rooms(room, "/messages?dir=b&limit=50"), alice);
  EXPECT_EQ(json::write(messages.body).find("old"), std::string::npos);
}

TEST_F(CreateRoomTest, WhoeverMayJoinMayNotForThatReasonInvite) {
  const std::string alice = join_token("alice");
  for (const auto& [preset, level] :
       {std::pair{"private_chat", "0"}, {"trusted_private_chat", "0"}, {"public_chat", "50"}}) {
    const std::string room = create_room(alice, R"({"preset":")" + std::string(preset) + "\"}");
    EXPECT_EQ(state(alice, room, "m.room.power_levels", {"invite"}), level) << preset;
  }
}

TEST_F(CreateRoomTest, AStateThatCannotBeIsTheRequestsFault) {
  const std::string alice = join_token("alice");
  for (const char* body : {
           R"({"power_level_content_override":{"users":{"@alice:own":100}}})",
           R"({"power_level_content_override":{"users":{"@bob:own":"100"}}})",
           R"({"creation_content":{"additional_creators":"@bob:own"}})",
           R"({"creation_content":{"additional_creators":["@bob:own",1]}})",
           R"({"creation_content":{"additional_creators":["@bob:no$server"]}})",
           R"({"room_version":"11","name":"x","power_level_content_override":{"users":{}}})",
       }) {
    const Answer refused = call("POST", "/_matrix/client/v3/createRoom", alice, body);
    EXPECT_EQ(refused.status, 400) << body;
    EXPECT_EQ(refused.text({"errcode"}), "M_INVALID_ROOM_STATE") << body;
  }
  EXPECT_EQ(call("GET", "/_matrix/client/v3/joined_rooms", alice).text({"joined_rooms"}), "[]");
}

// Otherwise a room could call itself by the name of another, and have members who were not invited
// as others are.
TEST_F(CreateRoomTest, TheInitialStateIsNoWayAroundTheRoutesForAliasesAndMembers) {
  const std::string alice = join_token("alice");
  create_room(alice, R"({"room_alias_name":"other"})");
  const auto create = [&](const std::string& more, const std::string& state) {
    return call("POST", "/_matrix/client/v3/createRoom", alice,
                "{" + more + R"("initial_state":[)" + state + "]}")
        .text({"errcode"});
  };
  for (const char* content : {R"({"alias":"#other:own"})", R"({"alias":"#none:own"})",
                              R"({"alt_aliases":["#x:elsewhere"]})"}) {
    const auto state =
        std::string(R"({"type":"m.room.canonical_alias","content":)").append(content).append("}");
    EXPECT_EQ(create("", state), "M_BAD_ALIAS") << content;
    EXPECT_EQ(create(R"("room_alias_name":"mine",)", state), "M_BAD_ALIAS") << content;
  }
  EXPECT_EQ(create(R"("room_alias_name":"mine",)",
                   R"({"type":"m.room.canonical_alias","content":{"alt_aliases":["#mine:own"]}})"),
            "");
  for (const char* user : {"@alice:own", "@bob:elsewhere"}) {
    EXPECT_EQ(create("", std::string(R"({"type":"m.room.member","state_key":")")
                             .append(user)
                             .append(R"(","content":{"membership":"invite"}})")),
              "M_INVALID_ROOM_STATE");
  }
}

TEST_F(CreateRoomTest, StateThatNobodyMaySendIsInvalidAndNotForbidden) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  call("POST", rooms(room, "/join"), bob);
  const struct {
    std::string type, content, token;
    int status;
  } cases[] = {
      {"m.room.power_levels", R"({"users":{"@alice:own":100}})", alice, 400},
      {"m.room.power_levels", R"({"users":{"@bob:own":"100"}})", alice, 400},
      {"m.room.power_levels", R"({"users":{"@bob:own":100}})", bob, 403},
      {"m.room.create", R"({"room_version":"12","x":1})", alice, 400},
      {"m.room.name", R"({"name":"x"})", bob, 403},
      {"m.room.power_levels", R"({"users":{"@bob:own":100}})", alice, 200},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(call("PUT", rooms(room, "/state/" + one.type), one.token, one.content).status,
              one.status)
        << one.type << one.content;
  }
}

}  // namespace
}  // namespace polder::server
