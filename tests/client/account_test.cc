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

}  // namespace
}  // namespace polder::server
