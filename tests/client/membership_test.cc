// Entering rooms, as the client-server API has it.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class MembershipTest : public HomeserverTest {
 protected:
  std::string member(const std::string& token, const std::string& room, const std::string& user,
                     std::string_view key) {
    return call("GET", rooms(room, "/state/m.room.member/@" + user + ":own"), token).text({key});
  }
  Answer put_member(const std::string& token, const std::string& room, const std::string& user,
                    const std::string& content) {
    return call("PUT", rooms(room, "/state/m.room.member/@" + user + ":own"), token, content);
  }
};

TEST_F(MembershipTest, JoinsCarryWhatTheClientGives) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  call("PUT", "/_matrix/client/v3/profile/@bob:own/displayname", bob, R"({"displayname":"Bob"})");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  EXPECT_EQ(call("POST", rooms(room, "/join"), bob, R"({"x":1.5})").text({"errcode"}),
            "M_BAD_JSON");
  EXPECT_EQ(call("POST", rooms(room, "/join"), bob,
                 R"({"foo":"bar","reason":"r","membership":"leave","third_party_signed":{}})")
                .status,
            200);
  for (const auto& [key, value] : {std::pair{"foo", "bar"},
                                   {"reason", "r"},
                                   {"membership", "join"},
                                   {"displayname", "Bob"},
                                   {"third_party_signed", ""}})
    EXPECT_EQ(member(alice, room, "bob", key), value) << key;
  call("POST", rooms(room, "/leave"), bob);
  call("POST", rooms(room, "/join"), bob, R"({"displayname":"Bobby"})");
  EXPECT_EQ(member(alice, room, "bob", "displayname"), "Bobby");
}

// https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms
TEST_F(MembershipTest, ARestrictedRoomIsEnteredByStateToo) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string allowed = create_room(alice, R"({"preset":"public_chat"})");
  const std::string room = create_room(
      alice, R"({"initial_state":[{"type":"m.room.join_rules","content":{"join_rule":"restricted",)"
             R"("allow":[{"type":"m.room_membership","room_id":")" +
                 allowed + R"("}]}}]})");
  const std::string join =
      R"({"membership":"join","join_authorised_via_users_server":"@carol:own"})";
  EXPECT_EQ(put_member(bob, room, "bob", join).status, 403);
  call("POST", rooms(allowed, "/join"), bob);
  const Answer joined = put_member(bob, room, "bob", join);
  EXPECT_EQ(joined.status, 200);
  EXPECT_EQ(call("GET", rooms(room, "/event/" + joined.text({"event_id"})), bob).status, 200);
  EXPECT_EQ(member(bob, room, "bob", "join_authorised_via_users_server"), "@alice:own");
  // Who is in the room needs nobody's authority to change how they are shown.
  EXPECT_EQ(put_member(bob, room, "bob",
                       R"({"membership":"join","displayname":"Bobby",)"
                       R"("join_authorised_via_users_server":"unused"})")
                .status,
            200);
  EXPECT_EQ(member(bob, room, "bob", "displayname"), "Bobby");
  EXPECT_EQ(member(bob, room, "bob", "join_authorised_via_users_server"), "");
}

TEST_F(MembershipTest, NobodyIsInvitedFromAfarWhereTheRoomDoesNotFederate) {
  const std::string alice = join_token("alice");
  join_token("bob");
  const std::string room = create_room(alice, R"({"creation_content":{"m.federate":false}})");
  const auto invite = [&](const std::string& user) {
    return call("POST", rooms(room, "/invite"), alice, R"({"user_id":")" + user + "\"}");
  };
  const Answer refused = invite("@carol:elsewhere.example");
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.text({"error"}), "The room does not federate");
  EXPECT_EQ(invite("@bob:own").status, 200);
}

TEST_F(MembershipTest, OtherMembershipsAreStateLikeAnyOther) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice);
  EXPECT_EQ(put_member(bob, room, "bob", R"({"membership":"join"})").status, 403);
  EXPECT_EQ(put_member(alice, room, "bob", R"({"membership":"invite"})").status, 200);
  EXPECT_EQ(put_member(alice, room, "bob", R"({"membership":"join"})").status, 403);
  EXPECT_EQ(put_member(bob, room, "bob", R"({"membership":"join","x":"y"})").status, 200);
  EXPECT_EQ(member(alice, room, "bob", "x"), "y");
  EXPECT_EQ(put_member(alice, room, "bob", R"({"membership":"ban"})").status, 200);
  EXPECT_EQ(put_member(alice, room, "bob", "{}").status, 403);
  EXPECT_EQ(put_member(alice, "!none:own", "alice", R"({"membership":"join"})").status, 403);
  EXPECT_EQ(member(alice, room, "bob", "membership"), "ban");
}

}  // namespace
}  // namespace polder::server
