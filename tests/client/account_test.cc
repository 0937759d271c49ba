// Profiles, account data and filters.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class AccountTest : public HomeserverTest {
 protected:
  Answer post(const std::string& path, const std::string& token, json::Object body) {
    return call("POST", "/_matrix/client/v3" + path, token, json::write(body));
  }
};

TEST_F(AccountTest, AliasesProfilesAndAccountData) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room =
      create_room(alice, R"({"preset":"public_chat","room_alias_name":"lobby"})");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/createRoom", bob, R"({"room_alias_name":"lobby"})")
                .text({"errcode"}),
            "M_ROOM_IN_USE");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/join/%23lobby:own", bob).text({"room_id"}), room);
  EXPECT_EQ(call("GET", "/_matrix/client/v3/directory/room/%23none:own").status, 404);
  const std::string profile = "/_matrix/client/v3/profile/@alice:own";
  EXPECT_EQ(call("PUT", profile + "/displayname", alice, R"({"displayname":"Alice"})").status, 200);
  EXPECT_EQ(call("PUT", profile + "/displayname", bob, R"({"displayname":"x"})").status, 403);
  EXPECT_EQ(call("GET", profile).text({"displayname"}), "Alice");
  // Anybody may ask, also for users of servers that cannot be reached.
  EXPECT_EQ(call("GET", "/_matrix/client/v3/profile/@bob:elsewhere").status, 502);
  EXPECT_EQ(call("GET", rooms(room, "/state/m.room.member/@alice:own"), bob).text({"displayname"}),
            "Alice");
  const std::string data = "/_matrix/client/v3/user/@alice:own/account_data/m.direct";
  EXPECT_EQ(call("GET", data, alice).status, 404);
  EXPECT_EQ(call("PUT", data, alice, R"({"@bob:own":["!x"]})").status, 200);
  EXPECT_EQ(call("GET", data, bob).status, 403);
  EXPECT_NE(call("GET", "/_matrix/client/v3/sync", alice)
                .text({"account_data", "events"})
                .find("m.direct"),
            std::string::npos);
}

TEST_F(AccountTest, AProfileIsBounded) {
  const std::string alice = join_token("alice");
  const auto set = [&](size_t bytes) {
    return call("PUT", "/_matrix/client/v3/profile/@alice:own/displayname", alice,
                R"({"displayname":")" + std::string(bytes, 'x') + "\"}");
  };
  EXPECT_EQ(set(100).status, 200);
  for (const size_t bytes : {5'000u, 70'000u}) {
    const Answer refused = set(bytes);
    EXPECT_EQ(refused.status, 400);
    EXPECT_EQ(refused.text({"errcode"}), "M_PROFILE_TOO_LARGE");
  }
}

// Rooms that show the profile already are not told of it again.
TEST_F(AccountTest, AProfileThatIsSetAgainIsNoEvent) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  const auto set = [&](const std::string& name) {
    EXPECT_EQ(call("PUT", "/_matrix/client/v3/profile/@alice:own/displayname", alice,
                   R"({"displayname":")" + name + "\"}")
                  .status,
              200);
    return call("GET", rooms(room, "/messages?dir=b&limit=1"), alice).text({"chunk"});
  };
  const std::string first = set("Alice");
  EXPECT_EQ(set("Alice"), first);
  EXPECT_NE(set("Alicia"), first);
  // A room that shows another all the same is put right.
  call("PUT", rooms(room, "/state/m.room.member/@alice:own"), alice,
       R"({"membership":"join","displayname":"Here only"})");
  set("Alicia");
  EXPECT_EQ(
      call("GET", rooms(room, "/state/m.room.member/@alice:own"), alice).text({"displayname"}),
      "Alicia");
}

// Two changes at once end the same for the profile and for the rooms that show it.
TEST_F(AccountTest, RoomsKeepTheLastOfTwoProfiles) {
  const std::string alice = join_token("alice");
  const std::string room = create_room(alice);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::shared_ptr<std::optional<Answer>>> changes;
    for (const char* name : {"one", "two", "three"}) {
      changes.push_back(begin("PUT", "/_matrix/client/v3/profile/@alice:own/displayname", alice,
                              std::string(R"({"displayname":")") + name + "\"}"));
    }
    for (const auto& change : changes) {
      ASSERT_TRUE(simulation_->run_until([&] { return change->has_value(); }, Millis(60'000)));
      EXPECT_EQ((*change)->status, 200);
    }
    EXPECT_EQ(
        call("GET", rooms(room, "/state/m.room.member/@alice:own"), alice).text({"displayname"}),
        call("GET", "/_matrix/client/v3/profile/@alice:own", alice).text({"displayname"}));
  }
}

// A change of the profile is sent to rooms as a join.
TEST_F(AccountTest, WhoLeavesBesideAChangeIsNotBroughtBack) {
  const std::string alice = join_token("alice"), bob = join_token("bob");
  for (int round = 0; round < 40; ++round) {
    const std::string room = create_room(bob, R"({"preset":"public_chat"})");
    ASSERT_EQ(call("POST", rooms(room, "/join"), alice, "{}").status, 200);
    const auto changed = begin("PUT", "/_matrix/client/v3/profile/@alice:own/displayname", alice,
                               R"({"displayname":"round )" + std::to_string(round) + "\"}");
    simulation_->run_for(Millis(round % 4));
    const auto left = begin("POST", rooms(room, "/leave"), alice, "{}");
    ASSERT_TRUE(simulation_->run_until([&] { return left->has_value() && changed->has_value(); },
                                       Millis(60'000)));
    EXPECT_EQ(call("GET", rooms(room, "/state/m.room.member/@alice:own"), bob).text({"membership"}),
              "leave");
  }
}

TEST_F(AccountTest, ARoomThatIsEnteredBesideAChangeShowsTheNewProfile) {
  const std::string alice = join_token("alice"), bob = join_token("bob");
  for (int round = 0; round < 20; ++round) {
    const std::string room = create_room(bob, R"({"preset":"public_chat"})");
    const auto joined = begin("POST", rooms(room, "/join"), alice, "{}");
    simulation_->run_for(Millis(round % 4));
    const auto changed = begin("PUT", "/_matrix/client/v3/profile/@alice:own/displayname", alice,
                               R"({"displayname":"round )" + std::to_string(round) + "\"}");
    ASSERT_TRUE(simulation_->run_until([&] { return joined->has_value() && changed->has_value(); },
                                       Millis(60'000)));
    EXPECT_EQ(
        call("GET", rooms(room, "/state/m.room.member/@alice:own"), alice).text({"displayname"}),
        "round " + std::to_string(round));
  }
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridfilter
TEST_F(AccountTest, AFilterIsKeptForItsUser) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string path = "/_matrix/client/v3/user/@alice:own/filter";
  const std::string filter = R"({"room":{"timeline":{"limit":3}}})";
  const Answer made = call("POST", path, alice, filter);
  ASSERT_EQ(made.status, 200);
  const std::string id = made.text({"filter_id"});
  EXPECT_FALSE(id.empty() || id.starts_with('{')) << id;
  crash();
  EXPECT_EQ(json::write(call("GET", path + "/" + id, alice).body), filter);
  EXPECT_EQ(call("POST", path, alice, filter).text({"filter_id"}), id);
  struct Refused {
    std::string method, path, token, errcode;
  };
  for (const Refused& c : std::vector<Refused>{
           {"POST", path, "", "M_MISSING_TOKEN"},
           {"POST", path, bob, "M_FORBIDDEN"},
           {"GET", path + "/" + id, "", "M_MISSING_TOKEN"},
           {"GET", path + "/" + id, bob, "M_FORBIDDEN"},
           {"GET", path + "/none", alice, "M_NOT_FOUND"},
           {"GET", "/_matrix/client/v3/user/@bob:own/filter/" + id, bob, "M_NOT_FOUND"},
       }) {
    EXPECT_EQ(call(c.method, c.path, c.token, c.method == "POST" ? filter : "").text({"errcode"}),
              c.errcode)
        << c.method << " " << c.path;
  }
}

// https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridroomsroomidaccount_datatype
TEST_F(AccountTest, ARoomHasAccountDataOfItsMembers) {
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string room = create_room(alice);
  const auto path = [&](const std::string& user, const std::string& type) {
    return "/_matrix/client/v3/user/@" + user + ":own/rooms/" + room + "/account_data/" + type;
  };
  EXPECT_EQ(call("GET", path("alice", "m.tag"), alice).text({"errcode"}), "M_NOT_FOUND");
  EXPECT_EQ(call("PUT", path("alice", "m.tag"), alice, R"({"tags":{"u.x":{}}})").status, 200);
  EXPECT_EQ(call("GET", path("alice", "m.tag"), alice).text({"tags"}), R"({"u.x":{}})");
  EXPECT_EQ(call("GET", path("alice", "m.tag"), bob).text({"errcode"}), "M_FORBIDDEN");
  EXPECT_EQ(call("PUT", path("alice", "m.tag"), bob, "{}").text({"errcode"}), "M_FORBIDDEN");
  EXPECT_EQ(call("PUT", path("bob", "m.tag"), bob, "{}").text({"errcode"}), "M_FORBIDDEN")
      << "who is not in the room";
  EXPECT_EQ(call("GET", path("alice", "m.tag")).text({"errcode"}), "M_MISSING_TOKEN");
  const Answer own = call("PUT", path("alice", "m.fully_read"), alice, "{}");
  EXPECT_EQ(own.status, 405);
  EXPECT_EQ(own.text({"errcode"}), "M_BAD_JSON");
}

}  // namespace
}  // namespace polder::server
