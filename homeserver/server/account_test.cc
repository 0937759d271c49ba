// Accounts, sessions and devices as clients see them.
#include "homeserver/server/testing/homeserver.h"
#include "homeserver/users/testing/signing.h"

namespace polder::server {
namespace {

using users::CrossSigningKeys;

class AccountTest : public HomeserverTest {
 protected:
  Answer post(const std::string& path, const std::string& token, json::Object body) {
    return call("POST", "/_matrix/client/v3" + path, token, json::write(body));
  }
  static json::Object with_password(json::Object body, const std::string& name) {
    body.set("auth",
             json::object({{"type", "m.login.password"},
                           {"password", "pw"},
                           {"identifier", json::object({{"type", "m.id.user"}, {"user", name}})}}));
    return body;
  }
  Answer log_in(const std::string& name, json::Value password) {
    return post("/login", "",
                {{"type", "m.login.password"},
                 {"identifier", json::object({{"type", "m.id.user"}, {"user", name}})},
                 {"password", std::move(password)}});
  }
};

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload
TEST_F(AccountTest, OnlyNewCrossSigningKeysNeedThePassword) {
  const std::string alice = join_token("alice");
  const UserId user = UserId::trusted("@alice:own");
  const CrossSigningKeys keys(user), others(user);
  const auto upload = [&](json::Object body) {
    return post("/keys/device_signing/upload", alice, std::move(body));
  };
  EXPECT_EQ(upload({{"self_signing_key", keys.self_signing_key()}}).text({"errcode"}),
            "M_MISSING_PARAM");
  EXPECT_EQ(upload(keys.upload()).status, 200);
  EXPECT_EQ(upload(keys.upload()).status, 200);
  json::Object changed{
      {"master_key", keys.master_key()},
      {"self_signing_key", users::cross_signing_key(user, "self_signing", others.self_signing)}};
  for (const json::Object& body : {changed, with_password(changed, "alice")}) {
    const Answer unsigned_key = upload(body);
    EXPECT_EQ(unsigned_key.status, 400);
    EXPECT_EQ(unsigned_key.text({"errcode"}), "M_INVALID_SIGNATURE");
  }
  events::sign_json(*changed.find("self_signing_key")->as_object(), user.view(), keys.master);
  const Answer challenge = upload(changed);
  EXPECT_EQ(challenge.status, 401);
  EXPECT_NE(challenge.text({"flows"}).find("m.login.password"), std::string::npos);
  EXPECT_EQ(upload(with_password(changed, "alice")).status, 200);
  EXPECT_EQ(upload(changed).status, 200);
}

TEST_F(AccountTest, AWrongSignatureIsNamedAmongTheFailures) {
  const std::string alice = join_token("alice");
  const UserId user = UserId::trusted("@alice:own");
  const std::string device =
      call("GET", "/_matrix/client/v3/account/whoami", alice).text({"device_id"});
  const auto keys = users::device_keys_of(user, users::signing_key(device));
  ASSERT_EQ(post("/keys/upload", alice, {{"device_keys", keys}}).status, 200);
  json::Object wrong = keys;
  wrong.set(
      "signatures",
      json::object({{user.str(), json::object({{"ed25519:" + device, std::string(86, 'x')}})}}));
  const Answer answer =
      post("/keys/signatures/upload", alice, {{user.str(), json::object({{device, wrong}})}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.text({"failures", user.view(), device, "errcode"}), "M_INVALID_SIGNATURE");
}

// https://spec.matrix.org/v1.19/client-server-api/#cross-signing: "user-signing keys".
TEST_F(AccountTest, WhoVerifiesAUserHasToLookThemUpAgain) {
  const std::string alice = join_token("alice"), bob = join_token("bob");
  const CrossSigningKeys mine(UserId::trusted("@alice:own")), bobs(UserId::trusted("@bob:own"));
  ASSERT_EQ(post("/keys/device_signing/upload", alice, mine.upload()).status, 200);
  ASSERT_EQ(post("/keys/device_signing/upload", bob, bobs.upload()).status, 200);
  const std::string since = sync(alice).text({"next_batch"});
  const std::string bob_since = sync(bob).text({"next_batch"});
  const auto waiting =
      begin("GET", "/_matrix/client/v3/sync?timeout=60000&since=" + since, alice, "");
  simulation_->run_for(Millis(1000));
  EXPECT_FALSE(waiting->has_value());
  const json::Object signed_key = users::signed_by(bobs.master_key(), mine.user, mine.user_signing);
  const Answer uploaded =
      post("/keys/signatures/upload", alice,
           {{"@bob:own", json::object({{std::string(bobs.master.id().name()), signed_key}})}});
  EXPECT_EQ(uploaded.text({"failures"}), "{}");
  simulation_->run_for(Millis(1000));
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((*waiting)->text({"device_lists", "changed"}), R"(["@bob:own"])");
  EXPECT_EQ(sync(bob, bob_since).text({"device_lists"}), "");
}

TEST_F(AccountTest, WhoIsDeactivatedIsToldSoByTheRightPasswordOnly) {
  const std::string alice = join_token("alice");
  ASSERT_EQ(post("/account/deactivate", alice, with_password({}, "alice")).status, 200);
  const Answer right = log_in("alice", "pw");
  EXPECT_EQ(right.status, 403);
  EXPECT_EQ(right.text({"errcode"}), "M_USER_DEACTIVATED");
  EXPECT_EQ(log_in("alice", "wrong").text({"errcode"}), "M_FORBIDDEN");
  EXPECT_EQ(log_in("nobody", "pw").text({"errcode"}), "M_FORBIDDEN");
}

TEST_F(AccountTest, APasswordIsAStringAndNotEmpty) {
  for (const json::Value& password :
       std::vector<json::Value>{"", 5, json::Array(), json::Object()}) {
    const Answer made = post("/register", "",
                             {{"username", "alice"},
                              {"password", password},
                              {"auth", json::object({{"type", "m.login.dummy"}})}});
    EXPECT_EQ(made.status, 400) << json::write(password);
    EXPECT_EQ(post("/register", "", {{"username", "alice"}, {"password", password}}).status, 400);
  }
  const std::string alice = join_token("alice");
  for (const json::Value& password : std::vector<json::Value>{"", 5}) {
    EXPECT_EQ(post("/account/password", alice, with_password({{"new_password", password}}, "alice"))
                  .status,
              400);
  }
  EXPECT_EQ(log_in("alice", "pw").status, 200);
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

TEST_F(AccountTest, DevicesTellWhenAndFromWhereTheyWereSeen) {
  address_ = "192.0.2.7";
  const std::string alice = join_token("alice");
  const std::string bob = join_token("bob");
  const std::string device =
      call("GET", "/_matrix/client/v3/account/whoami", alice).text({"device_id"});
  const auto seen = [&](const char* field) {
    return call("GET", "/_matrix/client/v3/devices/" + device, alice).text({field});
  };
  EXPECT_EQ(seen("last_seen_ip"), "192.0.2.7");
  const int64_t first = std::stoll(seen("last_seen_ts"));
  EXPECT_GT(first, 0);
  simulation_->run_for(Millis(5000));
  address_ = "192.0.2.8";
  EXPECT_GE(std::stoll(seen("last_seen_ts")), first + 5000);
  EXPECT_EQ(seen("last_seen_ip"), "192.0.2.8");
  EXPECT_EQ(
      call("PUT", "/_matrix/client/v3/devices/" + device, alice, R"({"display_name":"phone"})")
          .status,
      200);
  simulation_->run_for(Millis(70'000));
  crash();
  address_ = "192.0.2.9";
  const std::string another = log_in("alice", "pw").text({"access_token"});
  const Answer devices = call("GET", "/_matrix/client/v3/devices", another);
  EXPECT_NE(devices.text({"devices"}).find("192.0.2.8"), std::string::npos)
      << devices.text({"devices"});
  EXPECT_NE(devices.text({"devices"}).find("phone"), std::string::npos);
  // https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3adminwhoisuserid
  const auto whois = [&](const std::string& token, const std::string& user) {
    return call("GET", "/_matrix/client/v3/admin/whois/" + user, token);
  };
  const Answer own = whois(another, "@alice:own");
  EXPECT_EQ(own.text({"user_id"}), "@alice:own");
  EXPECT_NE(own.text({"devices", device, "sessions"}).find(R"("ip":"192.0.2.8")"),
            std::string::npos);
  EXPECT_EQ(whois(bob, "@alice:own").status, 403);
  EXPECT_EQ(whois(bob, "@nobody:own").status, 403);
}

// https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
TEST_F(AccountTest, RegistrationRemembersWhatTheFirstRequestSaid) {
  const Answer first = post("/register", "",
                            {{"username", "alice"},
                             {"password", "pw"},
                             {"device_id", "PHONE"},
                             {"initial_device_display_name", "phone"}});
  EXPECT_EQ(first.status, 401);
  const json::Object last{
      {"auth", json::object({{"type", "m.login.dummy"}, {"session", first.text({"session"})}})}};
  const Answer made = post("/register", "", last);
  ASSERT_EQ(made.status, 200) << made.text({"error"});
  EXPECT_EQ(made.text({"user_id"}), "@alice:own");
  EXPECT_EQ(made.text({"device_id"}), "PHONE");
  EXPECT_EQ(log_in("alice", "pw").status, 200);
  const Answer again = post("/register", "", last);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, made.body);
}

TEST_F(AccountTest, RegistrationWithoutLoginIsAskedForOnce) {
  const Answer first =
      post("/register", "", {{"username", "alice"}, {"password", "pw"}, {"inhibit_login", true}});
  const json::Object last{
      {"auth", json::object({{"type", "m.login.dummy"}, {"session", first.text({"session"})}})}};
  const auto one = begin("POST", "/_matrix/client/v3/register", "", json::write(last));
  const auto other = begin("POST", "/_matrix/client/v3/register", "", json::write(last));
  ASSERT_TRUE(simulation_->run_until([&] { return one->has_value() && other->has_value(); },
                                     Millis(60'000)));
  EXPECT_EQ((*one)->status, 200);
  EXPECT_EQ((*one)->text({"user_id"}), "@alice:own");
  EXPECT_EQ((*one)->text({"access_token"}), "");
  EXPECT_EQ((*one)->body, (*other)->body);
}

TEST_F(AccountTest, RegistrationsAreForgottenAfterAWhile) {
  const Answer first = post("/register", "", {{"username", "alice"}, {"password", "pw"}});
  simulation_->run_for(Millis(3'600'000));
  const Answer late = post(
      "/register", "",
      {{"auth", json::object({{"type", "m.login.dummy"}, {"session", first.text({"session"})}})}});
  EXPECT_EQ(late.status, 401);
  EXPECT_NE(late.text({"session"}), first.text({"session"}));
  EXPECT_EQ(call("GET", "/_matrix/client/v3/register/available?username=alice").status, 200);
}

}  // namespace
}  // namespace polder::server
