// What /sync says of a room, so that clients can name it.
// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync (RoomSummary)
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class SummaryTest : public HomeserverTest {
 protected:
  void act(const std::string& token, const std::string& room, const std::string& what,
           const std::string& target = "") {
    const std::string body = target.empty() ? "{}" : R"({"user_id":"@)" + target + R"(:own"})";
    EXPECT_EQ(call("POST", rooms(room, "/" + what), token, body).status, 200) << what;
  }
  std::string heroes(const std::string& room) {
    return sync(alice_).text({"rooms", "join", room, "summary", "m.heroes"});
  }
  void set(const std::string& room, const std::string& type, const std::string& content) {
    EXPECT_EQ(call("PUT", rooms(room, "/state/" + type), alice_, content).status, 200);
  }

  const std::string alice_ = join_token("alice");
  const std::string bob_ = join_token("bob");
  const std::string carol_ = join_token("carol");
};

TEST_F(SummaryTest, OfADirectChatThatTheOtherLeftIsStillWithThem) {
  const std::string kBob = R"(["@bob:own"])";
  const struct {
    std::string how;
    std::function<void(const std::string&)> end;
  } cases[] = {
      {"declined", [&](const std::string& room) { act(bob_, room, "leave"); }},
      {"left",
       [&](const std::string& room) {
         act(bob_, room, "join");
         act(bob_, room, "leave");
       }},
      {"banned",
       [&](const std::string& room) {
         act(bob_, room, "join");
         act(alice_, room, "ban", "bob");
       }},
  };
  for (const auto& one : cases) {
    const std::string room = create_room(alice_, R"({"invite":["@bob:own"],"is_direct":true})");
    EXPECT_EQ(heroes(room), kBob);
    one.end(room);
    EXPECT_EQ(heroes(room), kBob) << one.how;
    // Whoever is there comes before who left.
    call("POST", rooms(room, "/invite"), alice_, R"({"user_id":"@carol:own"})");
    if (one.how == "left") EXPECT_EQ(heroes(room), R"(["@carol:own"])");
  }
}

TEST_F(SummaryTest, ARoomIsNamedByItsMembersUnlessItHasAName) {
  const std::string kBob = R"(["@bob:own"])";
  const std::string room = create_room(alice_, R"({"invite":["@bob:own"]})");
  const struct {
    std::string type, content, heroes;
  } cases[] = {
      {"m.room.name", R"({"name":"Named"})", ""}, {"m.room.name", R"({"name":""})", kBob},
      {"m.room.name", R"({"name":"Named"})", ""}, {"m.room.name", "{}", kBob},
      {"m.room.canonical_alias", "{}", kBob},
  };
  for (const auto& one : cases) {
    set(room, one.type, one.content);
    EXPECT_EQ(heroes(room), one.heroes) << one.type << one.content;
  }
}

TEST_F(SummaryTest, NamesTheFirstFiveWhoCame) {
  const std::string room = create_room(alice_, R"({"preset":"public_chat"})");
  std::string first;
  for (const char* name : {"zoe", "yan", "xia", "wim", "uma", "abe"}) {
    act(join_token(name), room, "join");
    if (std::string(name) != "abe")
      first += (first.empty() ? "\"@" : ",\"@") + std::string(name) + ":own\"";
  }
  EXPECT_EQ(heroes(room), "[" + first + "]");
}

}  // namespace
}  // namespace polder::server
