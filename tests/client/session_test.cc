// Logins, devices and passwords.
#include "homeserver/server/testing/homeserver.h"
#include "homeserver/users/accounts/identity_provider.h"
#include "storage/stores/audit/audit_rows.h"

namespace polder::server {
namespace {

class SessionTest : public HomeserverTest {
 protected:
  Answer log_in(const std::string& name, json::Value password) {
    return post("/login", "",
                {{"type", "m.login.password"},
                 {"identifier", json::object({{"type", "m.id.user"}, {"user", name}})},
                 {"password", std::move(password)}});
  }
};

TEST_F(SessionTest, RegistersLogsInAndOut) {
  EXPECT_EQ(call("GET", "/_matrix/client/versions").status, 200);
  EXPECT_EQ(call("POST", "/_matrix/client/v3/register", "", "{}").status, 401);
  const std::string token = join_token("alice");
  EXPECT_EQ(call("GET", "/_matrix/client/v3/account/whoami", token).text({"user_id"}),
            "@alice:own");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/register", "",
                 R"({"username":"alice","auth":{"type":"m.login.dummy"}})")
                .text({"errcode"}),
            "M_USER_IN_USE");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/register", "",
                 R"({"username":"A b","auth":{"type":"m.login.dummy"}})")
                .text({"errcode"}),
            "M_INVALID_USERNAME");
  const std::string login =
      R"({"type":"m.login.password","identifier":{"type":"m.id.user","user":"alice"},"password":")";
  EXPECT_EQ(call("POST", "/_matrix/client/v3/login", "", login + "wrong\"}").text({"errcode"}),
            "M_FORBIDDEN");
  const Answer second =
      call("POST", "/_matrix/client/v3/login", "", login + R"(pw","device_id":"PHONE"})");
  EXPECT_EQ(second.text({"device_id"}), "PHONE");
  for (const char* name : {"ALICE", "@Alice:own", "@ALICE:OWN"}) {
    EXPECT_EQ(call("POST", "/_matrix/client/v3/login", "",
                   R"({"type":"m.login.password","identifier":{"type":"m.id.user","user":")" +
                       std::string(name) + R"("},"password":"pw"})")
                  .text({"user_id"}),
              "@alice:own")
        << name;
  }
  EXPECT_EQ(call("POST", "/_matrix/client/v3/logout", token).status, 200);
  const Answer refused = call("GET", "/_matrix/client/v3/account/whoami", token);
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.text({"errcode"}), "M_UNKNOWN_TOKEN");
  EXPECT_EQ(call("GET", "/_matrix/client/v3/account/whoami").text({"errcode"}), "M_MISSING_TOKEN");
  EXPECT_EQ(
      call("GET", "/_matrix/client/v3/account/whoami?access_token=" + second.text({"access_token"}))
          .status,
      200);
}

// https://spec.matrix.org/v1.19/client-server-api/#identifier-types
TEST_F(SessionTest, NobodyLogsInByWhatNobodyIsKnownBy) {
  join_token("alice");
  struct Case {
    json::Object identifier;
    int status;
    const char* errcode;
  };
  const std::vector<Case> cases = {
      {{{"type", "m.id.user"}, {"user", "alice"}}, 200, ""},
      {{{"type", "m.id.thirdparty"}, {"medium", "email"}, {"address", "alice@own"}},
       403,
       "M_FORBIDDEN"},
      {{{"type", "m.id.phone"}, {"country", "GB"}, {"phone", "1"}}, 403, "M_FORBIDDEN"},
      {{{"type", "m.id.phone"}, {"country", "GB"}}, 400, "M_MISSING_PARAM"},
      {{{"type", "m.id.pigeon"}}, 400, "M_UNKNOWN"},
      {{{"user", "alice"}}, 400, "M_MISSING_PARAM"},
  };
  for (const Case& c : cases) {
    const Answer answer =
        post("/login", "",
             {{"type", "m.login.password"}, {"identifier", c.identifier}, {"password", "pw"}});
    EXPECT_EQ(answer.status, c.status) << json::write(c.identifier);
    EXPECT_EQ(answer.text({"errcode"}), c.errcode) << json::write(c.identifier);
  }
}

TEST_F(SessionTest, WhoIsDeactivatedIsToldSoByTheRightPasswordOnly) {
  const std::string alice = join_token("alice");
  ASSERT_EQ(post("/account/deactivate", alice, with_password({}, "alice")).status, 200);
  const Answer right = log_in("alice", "pw");
  EXPECT_EQ(right.status, 403);
  EXPECT_EQ(right.text({"errcode"}), "M_USER_DEACTIVATED");
  EXPECT_EQ(log_in("alice", "wrong").text({"errcode"}), "M_FORBIDDEN");
  EXPECT_EQ(log_in("nobody", "pw").text({"errcode"}), "M_FORBIDDEN");
  simulation_->run_for(Millis(2000));
  const auto records = *stores::read_audit(*database_->snapshot(), 0, 10);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].act, "login");
  EXPECT_EQ(records[0].actor, "@alice:own");
  EXPECT_EQ(records[0].by, "accounts");
  EXPECT_FALSE(records[0].permitted);
}

TEST_F(SessionTest, APasswordIsAStringAndNotEmpty) {
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

TEST_F(SessionTest, DevicesTellWhenAndFromWhereTheyWereSeen) {
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

// Answers as it was told, and remembers what it was asked.
class FakeIdentities final : public users::IdentityProvider {
 public:
  Task<Result<users::IdentityProof>> check(users::Credential credential) override {
    asked_.push_back(std::move(credential));
    co_return answer_;
  }
  Result<users::IdentityProof> answer_ = fail(ErrorCode::kForbidden, "The directory says no");
  std::vector<users::Credential> asked_;
};

TEST_F(SessionTest, AnotherProviderDecidesWhoEntersAndWhoConfirms) {
  FakeIdentities directory;
  identities_ = &directory;
  stop();
  start();
  const std::string alice = join_token("alice");
  join_token("bob");
  EXPECT_EQ(log_in("alice", "pw").status, 403) << "the password that is kept here does not count";
  ASSERT_EQ(directory.asked_.size(), 1u);
  EXPECT_EQ(directory.asked_[0].type, "m.login.password");
  EXPECT_EQ(directory.asked_[0].user->str(), "@alice:own");
  EXPECT_EQ(directory.asked_[0].secret, "pw");
  EXPECT_EQ(post("/delete_devices", alice, with_password({{"devices", json::Array()}}, "alice"))
                .text({"errcode"}),
            "M_FORBIDDEN");
  directory.answer_ = fail(ErrorCode::kUnavailable, "The directory does not answer");
  EXPECT_EQ(log_in("alice", "x").status, 502);
  directory.answer_ = users::IdentityProof{UserId::trusted("@bob:own")};
  EXPECT_EQ(log_in("alice", "x").text({"user_id"}), "@bob:own") << "whom it proves, enters";
  EXPECT_EQ(
      post("/delete_devices", alice, with_password({{"devices", json::Array()}}, "alice")).status,
      401)
      << "bob does not confirm for alice";
  directory.answer_ = users::IdentityProof{UserId::trusted("@alice:own")};
  EXPECT_EQ(log_in("alice", "x").text({"user_id"}), "@alice:own");
  EXPECT_EQ(
      post("/delete_devices", alice, with_password({{"devices", json::Array()}}, "alice")).status,
      200);
  directory.answer_ = users::IdentityProof{UserId::trusted("@nobody:own")};
  EXPECT_GE(log_in("nobody", "x").status, 400) << "who has no account here does not enter";
}

}  // namespace
}  // namespace polder::server
