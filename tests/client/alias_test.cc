// Aliases of rooms: who sees and removes them.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class AliasTest : public HomeserverTest {
 protected:
  static std::string directory(const std::string& alias) {
    return "/_matrix/client/v3/directory/room/%23" + alias + ":own";
  }
  Answer make(const std::string& token, const std::string& room, const std::string& alias) {
    return call("PUT", directory(alias), token, R"({"room_id":")" + room + "\"}");
  }
  std::string listed(const std::string& token, const std::string& room) {
    const Answer answer = call("GET", rooms(room, "/aliases"), token);
    return answer.status == 200 ? answer.text({"aliases"}) : answer.text({"errcode"});
  }
};

TEST_F(AliasTest, AreListedForMembersOrWhereEverybodyMayRead) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  EXPECT_EQ(listed(alice, room), "[]");
  EXPECT_EQ(make(alice, room, "one").status, 200);
  EXPECT_EQ(make(alice, room, "two").status, 200);
  EXPECT_EQ(listed(alice, room), R"(["#one:own","#two:own"])");
  EXPECT_EQ(listed(bob, room), "M_FORBIDDEN");
  EXPECT_EQ(listed(bob, "!none:own"), "M_FORBIDDEN");
  EXPECT_EQ(listed("", room), "M_MISSING_TOKEN");
  call("POST", rooms(room, "/join"), bob);
  EXPECT_EQ(listed(bob, room), R"(["#one:own","#two:own"])");
  call("POST", rooms(room, "/leave"), bob);
  EXPECT_EQ(listed(bob, room), "M_FORBIDDEN");
  call("PUT", rooms(room, "/state/m.room.history_visibility"), alice,
       R"({"history_visibility":"world_readable"})");
  EXPECT_EQ(listed(bob, room), R"(["#one:own","#two:own"])");
}

TEST_F(AliasTest, GoToOneOfThoseWhoTakeThemAtOnce) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string first = create_room(alice);
  const std::string second = create_room(bob);
  std::vector<std::shared_ptr<std::optional<Answer>>> answers = {
      begin("PUT", directory("one"), alice, R"({"room_id":")" + first + "\"}"),
      begin("PUT", directory("one"), bob, R"({"room_id":")" + second + "\"}"),
      begin("POST", "/_matrix/client/v3/createRoom", bob, R"({"room_alias_name":"one"})")};
  EXPECT_TRUE(simulation_->run_until(
      [&] {
        return std::ranges::all_of(answers, [](const auto& one) { return one->has_value(); });
      },
      Millis(120'000)));
  EXPECT_EQ(std::ranges::count_if(answers, [](const auto& one) { return (*one)->status == 200; }),
            1);
  EXPECT_EQ(
      std::ranges::count_if(
          answers, [](const auto& one) { return (*one)->text({"errcode"}) == "M_ROOM_IN_USE"; }),
      (*answers[2])->status == 200 ? 0 : 1);
}

TEST_F(AliasTest, AreRemovedByTheirMakersAndByWhoeverHasThePower) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string carol = join_token("carol");
  const std::string room = create_room(
      alice,
      R"({"preset":"public_chat","power_level_content_override":{"users":{"@carol:own":50}}})");
  call("POST", rooms(room, "/join"), bob);
  make(alice, room, "alices");
  make(bob, room, "bobs");
  EXPECT_EQ(call("DELETE", directory("alices"), bob).text({"errcode"}), "M_FORBIDDEN");
  // Power counts only in the room.
  EXPECT_EQ(call("DELETE", directory("alices"), carol).status, 403);
  call("POST", rooms(room, "/join"), carol);
  EXPECT_EQ(call("DELETE", directory("alices"), carol).status, 200);
  EXPECT_EQ(call("DELETE", directory("alices"), carol).status, 404);
  EXPECT_EQ(call("DELETE", directory("bobs"), bob).status, 200);
  EXPECT_EQ(listed(alice, room), "[]");
}

TEST_F(AliasTest, ThatAreRemovedAreNotCanonicalAnyMore) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice, R"({"preset":"public_chat"})");
  call("POST", rooms(room, "/join"), bob);
  for (const char* alias : {"main", "other", "third"})
    make(alice, room, alias);
  make(bob, room, "bobs");
  const std::string state = rooms(room, "/state/m.room.canonical_alias");
  const auto content = [&] { return json::write(call("GET", state, alice).body); };
  EXPECT_EQ(call("PUT", state, alice,
                 R"({"alias":"#main:own","alt_aliases":["#other:own","#third:own","#bobs:own"]})")
                .status,
            200);
  EXPECT_EQ(call("DELETE", directory("other"), alice).status, 200);
  EXPECT_EQ(content(), R"({"alias":"#main:own","alt_aliases":["#third:own","#bobs:own"]})");
  // Who may not change the event is rid of the alias all the same.
  EXPECT_EQ(call("DELETE", directory("bobs"), bob).status, 200);
  EXPECT_EQ(content(), R"({"alias":"#main:own","alt_aliases":["#third:own","#bobs:own"]})");
  EXPECT_EQ(call("DELETE", directory("main"), alice).status, 200);
  EXPECT_EQ(content(), R"({"alt_aliases":["#third:own","#bobs:own"]})");
  EXPECT_EQ(call("PUT", state, alice, R"({"alias":"#third:own"})").status, 200);
  EXPECT_EQ(call("DELETE", directory("third"), alice).status, 200);
  EXPECT_EQ(content(), "{}");
}

// As there, of a room that is named in the body.
TEST_F(AliasTest, GiveNoAliasToARoomThatTheyAreNotIn) {
  const std::string alice = join_token("alice");
  const std::string eve = join_token("eve");
  const std::string room = create_room(alice);
  std::string answers[2];
  for (const std::string& named : {room, std::string("!" + std::string(43, 'A'))}) {
    const Answer answer = call("PUT", "/_matrix/client/v3/directory/room/%23x%3Aown", eve,
                               R"({"room_id":")" + named + R"("})");
    EXPECT_EQ(answer.status, 403);
    answers[named == room] = json::write(answer.body);
  }
  EXPECT_EQ(answers[0], answers[1]);
}

// https://spec.matrix.org/v1.19/application-service-api/#registration
TEST_F(AliasTest, AreNobodysIfAnApplicationServiceHasThemForItself) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  EXPECT_EQ(make(alice, room, "_irc_early").status, 200);
  register_bridge();
  crash();
  const Answer refused = make(alice, room, "_irc_x");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.text({"errcode"}), "M_EXCLUSIVE");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/createRoom", alice, R"({"room_alias_name":"_irc_x"})")
                .text({"errcode"}),
            "M_EXCLUSIVE");
  EXPECT_EQ(call("DELETE", directory("_irc_early"), alice).text({"errcode"}), "M_EXCLUSIVE");
  EXPECT_EQ(call("GET", directory("_irc_early")).text({"room_id"}), room);
  EXPECT_EQ(make(alice, room, "irc_x").status, 200);
}

}  // namespace
}  // namespace polder::server
