// The state of a room.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class StateTest : public HomeserverTest {};

TEST_F(StateTest, RedactionsRelationsAndStateAreServed) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice, R"({"topic":"T"})");
  EXPECT_EQ(call("GET", rooms(room, "/state/m.room.topic"), alice).text({"topic"}), "T");
  EXPECT_EQ(call("PUT", rooms(room, "/state/m.room.topic"), alice, R"({"topic":"U"})").status, 200);
  EXPECT_EQ(call("GET", rooms(room, "/state/m.room.topic/"), alice).text({"topic"}), "U");
  const std::string note = rooms(room, "/state/org.example.note");
  const Answer first = call("PUT", note, alice, R"({"note":1})");
  EXPECT_EQ(call("PUT", note, alice, R"({"note":1})").text({"event_id"}), first.text({"event_id"}));
  EXPECT_NE(call("PUT", note, alice, R"({"note":2})").text({"event_id"}), first.text({"event_id"}));
  EXPECT_EQ(call("GET", "/_matrix/client/r0/rooms/" + room + "/state/m.room.topic", alice).status,
            200);
  const std::string aliases = rooms(room, "/state/m.room.canonical_alias");
  EXPECT_EQ(call("PUT", aliases, alice, R"({"alias":"#none:own"})").text({"errcode"}),
            "M_BAD_ALIAS");
  EXPECT_EQ(call("PUT", aliases, alice, R"({"alt_aliases":["x"]})").text({"errcode"}),
            "M_INVALID_PARAM");
  EXPECT_EQ(call("PUT", aliases, alice, "{}").status, 200);
  EXPECT_EQ(call("GET", rooms(room, "/state/m.room.topic"), alice).text({"topic"}), "U");
  const std::string root = say(alice, room, "root", "1").text({"event_id"});
  call("PUT", rooms(room, "/send/m.reaction/2"), alice,
       R"({"m.relates_to":{"rel_type":"m.annotation","event_id":")" + root + R"(","key":"+"}})");
  const Answer relations =
      call("GET", "/_matrix/client/v1/rooms/" + room + "/relations/" + root, alice);
  EXPECT_EQ(relations.body.as_object()->find_array("chunk")->size(), 1u);
  const Answer context = call("GET", rooms(room, "/context/" + root + "?limit=4"), alice);
  EXPECT_EQ(context.text({"event", "content", "body"}), "root");
  EXPECT_EQ(context.body.as_object()->find_array("events_before")->size(), 2u);
  EXPECT_EQ(call("PUT", rooms(room, "/redact/" + root + "/3"), alice, R"({"reason":"r"})").status,
            200);
  const Answer redacted = call("GET", rooms(room, "/event/" + root), alice);
  EXPECT_EQ(redacted.text({"content"}), "{}");
  EXPECT_EQ(redacted.text({"unsigned", "redacted_because", "content", "reason"}), "r");
}

// Nobody could take it back.
TEST_F(StateTest, AnAclDoesNotShutOutItsOwnServer) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  const auto put = [&](const std::string& acl) {
    return call("PUT", rooms(room, "/state/m.room.server_acl"), alice, acl);
  };
  for (const char* acl : {"{}", R"({"allow":[]})", R"({"allow":"*"})",
                          R"({"allow":["*"],"deny":["own"]})", R"({"allow":["other"]})"}) {
    const Answer refused = put(acl);
    EXPECT_EQ(refused.status, 400) << acl;
    EXPECT_EQ(refused.text({"errcode"}), "M_INVALID_PARAM") << acl;
    const Answer created = call(
        "POST", "/_matrix/client/v3/createRoom", alice,
        R"({"initial_state":[{"type":"m.room.server_acl","content":)" + std::string(acl) + "}]}");
    EXPECT_EQ(created.status, 400) << acl;
  }
  const Answer set = put(R"({"allow":["*"],"deny":["evil.example"]})");
  EXPECT_EQ(set.status, 200);
  EXPECT_EQ(
      call("PUT", rooms(room, "/redact/" + set.text({"event_id"}) + "/t"), alice, "{}").status,
      403);
}

TEST_F(StateTest, AnAliasOfAnotherRoomIsNotKnownByWhatElseTheContentHas) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice, "{}");
  const std::string aliases = rooms(room, "/state/m.room.canonical_alias");
  EXPECT_EQ(call("PUT", aliases, alice, R"({"x":"#none:own"})").status, 200);
  EXPECT_EQ(call("PUT", aliases, alice, R"({"alias":"#none:own"})").text({"errcode"}),
            "M_BAD_ALIAS");
  EXPECT_EQ(call("PUT", aliases, alice, R"({"alt_aliases":["#none:own"]})").text({"errcode"}),
            "M_BAD_ALIAS");
}

}  // namespace
}  // namespace polder::server
