// What is left of a deactivated user.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class DeactivationTest : public HomeserverTest {
 protected:
  const std::string alice_ = join_token("alice");
};

TEST_F(DeactivationTest, WhoIsDeactivatedIsGoneFromEverywhere) {
  const std::string bob = join_token("bob");
  const std::string joined = room_with_visibility(alice_, "shared");
  const std::string invited = create_room(alice_);
  act(bob, joined, "join");
  act(alice_, invited, "invite", "bob");
  call("PUT", "/_matrix/client/v3/user/@bob:own/account_data/org.example", bob, R"({"a":1})");
  const std::string body = R"({"auth":{"type":"m.login.password","user":"bob","password":"pw"}})";
  EXPECT_EQ(call("POST", "/_matrix/client/v3/account/deactivate", bob, body).status, 200);
  EXPECT_EQ(sync(bob).status, 401);
  EXPECT_EQ(call("POST", "/_matrix/client/v3/login", "",
                 R"({"type":"m.login.password","identifier":{"type":"m.id.user","user":"bob"},)"
                 R"("password":"pw"})")
                .status,
            403);
  EXPECT_EQ(call("GET", "/_matrix/client/v3/profile/@bob:own").status, 404);
  simulation_->run_for(Millis(1000));
  for (const std::string& room : {joined, invited}) {
    EXPECT_EQ(
        call("GET", rooms(room, "/state/m.room.member/@bob:own"), alice_).text({"membership"}),
        "leave");
  }
}

// What was not done when the power went is done at the next start.
TEST_F(DeactivationTest, ACrashDoesNotLeaveADeactivatedUserInTheirRooms) {
  const std::string bob = join_token("bob");
  const std::string room = room_with_visibility(alice_, "shared");
  act(bob, room, "join");
  std::optional<Status> done;
  runtime::spawn(*runtime_, runtime_->shard(0), "test",
                 [](users::Accounts& accounts, std::optional<Status>& result) -> Task<void> {
                   result = co_await accounts.deactivate(UserId::trusted("@bob:own"));
                 }(homeserver_->accounts(), done));
  ASSERT_TRUE(simulation_->run_until([&] { return done.has_value(); }, Millis(60'000)));
  crash();
  ASSERT_TRUE(homeserver_->start().ok());
  simulation_->run_for(Millis(1000));
  EXPECT_EQ(call("GET", rooms(room, "/state/m.room.member/@bob:own"), alice_).text({"membership"}),
            "leave");
}

}  // namespace
}  // namespace polder::server
