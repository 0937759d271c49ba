// Accounts made by users themselves, and by who knows the shared secret.
#include "homeserver/base/crypto/hash.h"
#include "homeserver/server/testing/homeserver.h"
#include "storage/stores/audit/audit_rows.h"

namespace polder::server {
namespace {

class RegistrationTest : public HomeserverTest {
 protected:
  Answer post(const std::string& path, const std::string& token, json::Object body) {
    return call("POST", "/_matrix/client/v3" + path, token, json::write(body));
  }
  Answer log_in(const std::string& name, json::Value password) {
    return post("/login", "",
                {{"type", "m.login.password"},
                 {"identifier", json::object({{"type", "m.id.user"}, {"user", name}})},
                 {"password", std::move(password)}});
  }
  static json::Object wanting(std::string_view name) {
    return {{"username", name}, {"auth", json::object({{"type", "m.login.dummy"}})}};
  }
};

// https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
TEST_F(RegistrationTest, RegistrationRemembersWhatTheFirstRequestSaid) {
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

TEST_F(RegistrationTest, RegistrationWithoutLoginIsAskedForOnce) {
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

// Clients that ask for the flows before they ask people for a name say it in the same session; and
// another, if it is taken.
TEST_F(RegistrationTest, RegistrationsMayGatherWhatTheyWant) {
  const Answer first = post("/register", "", {});
  EXPECT_EQ(first.status, 401);
  const auto with = [&](json::Object body) {
    body.set("auth",
             json::object({{"type", "m.login.dummy"}, {"session", first.text({"session"})}}));
    return body;
  };
  join_token("bob");
  const Answer taken = post("/register", "", with({{"username", "bob"}, {"password", "pw"}}));
  EXPECT_EQ(taken.text({"errcode"}), "M_USER_IN_USE");
  const Answer made = post("/register", "", with({{"username", "alice"}}));
  EXPECT_EQ(made.text({"user_id"}), "@alice:own");
  EXPECT_EQ(log_in("alice", "pw").status, 200);
  const Answer again = post("/register", "", with({{"username", "carol"}, {"password", "pw"}}));
  EXPECT_EQ(again.body, made.body) << "a session makes one account";
  EXPECT_EQ(call("GET", "/_matrix/client/v3/register/available?username=carol").status, 200);
}

// https://spec.matrix.org/v1.19/client-server-api/#token-authenticated-registration
TEST_F(RegistrationTest, WhereThereAreTokensOneIsNeeded) {
  configure_ = [](Config& config) { config.registration.tokens = {"good", "better"}; };
  stop();
  start();
  const auto validity = [&](const std::string& token) {
    return call("GET", "/_matrix/client/v1/register/m.login.registration_token/validity" + token);
  };
  EXPECT_EQ(validity("?token=better").text({"valid"}), "true");
  EXPECT_EQ(validity("?token=bad").text({"valid"}), "false");
  EXPECT_EQ(validity("").text({"errcode"}), "M_MISSING_PARAM");
  const Answer first = post("/register", "", {{"username", "alice"}, {"password", "pw"}});
  EXPECT_EQ(first.text({"flows"}),
            R"([{"stages":["m.login.registration_token","m.login.dummy"]}])");
  struct Step {
    const char* type;
    const char* token;
    int status;
    const char* completed;
    const char* errcode;
  };
  const Step steps[] = {
      {"m.login.dummy", "", 401, "[]", "M_FORBIDDEN"},
      {"m.login.registration_token", "bad", 401, "[]", "M_UNAUTHORIZED"},
      {"m.login.registration_token", "good", 401, R"(["m.login.registration_token"])", ""},
      {"m.login.registration_token", "bad", 401, R"(["m.login.registration_token"])", ""},
      {"m.login.dummy", "", 200, "", ""},
  };
  for (const Step& step : steps) {
    const Answer answer = post("/register", "",
                               {{"auth", json::object({{"type", step.type},
                                                       {"token", step.token},
                                                       {"session", first.text({"session"})}})}});
    EXPECT_EQ(answer.status, step.status) << step.type << step.token;
    EXPECT_EQ(answer.text({"completed"}), step.completed) << step.type << step.token;
    EXPECT_EQ(answer.text({"errcode"}), step.errcode) << step.type << step.token;
  }
  EXPECT_EQ(log_in("alice", "pw").status, 200);
  EXPECT_EQ(post("/register", "", wanting("bob")).status, 401) << "the dummy alone";
}

TEST_F(RegistrationTest, TokensAreOfNoUseWhereNobodyRegisters) {
  configure_ = [](Config& config) {
    config.registration.enabled = false;
    config.registration.tokens = {"good"};
  };
  stop();
  start();
  EXPECT_EQ(
      call("GET", "/_matrix/client/v1/register/m.login.registration_token/validity?token=good")
          .text({"errcode"}),
      "M_FORBIDDEN");
}

TEST_F(RegistrationTest, TheHashOfAPasswordIsNotForClientsToGive) {
  json::Object wanted = wanting("alice");
  wanted.set("password_hash", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAA");
  EXPECT_EQ(post("/register", "", wanted).status, 200);
  EXPECT_EQ(log_in("alice", "").status, 403);
}

// Whoever is refused may be anybody: of many refusals some are recorded, the others counted.
TEST_F(RegistrationTest, RefusalsAreOnRecordAndDoNotFillTheDisk) {
  configure_ = [](Config& config) { config.registration.enabled = false; };
  stop();
  start();
  constexpr size_t kTries = 100;
  for (size_t i = 0; i < kTries; ++i) {
    const Answer refused = post("/register", "", wanting("eve"));
    EXPECT_EQ(refused.status, 403);
    EXPECT_EQ(refused.text({"errcode"}), "M_FORBIDDEN");
  }
  simulation_->run_for(Millis(120'000));
  post("/register", "", wanting("eve"));
  simulation_->run_for(Millis(2000));
  const auto records = *stores::read_audit(*database_->snapshot(), 0, 1000);
  ASSERT_FALSE(records.empty());
  EXPECT_LT(records.size(), kTries / 2);
  uint64_t told = records.size();
  for (const stores::AuditRecord& record : records) {
    EXPECT_EQ(record.act, "register");
    EXPECT_EQ(record.by, "registration");
    EXPECT_FALSE(record.permitted);
    told += record.left_out;
  }
  EXPECT_EQ(told, kTries + 1);
}

TEST_F(RegistrationTest, RegistrationsAreForgottenAfterAWhile) {
  const Answer first = post("/register", "", {{"username", "alice"}, {"password", "pw"}});
  simulation_->run_for(Millis(3'600'000));
  const Answer late = post(
      "/register", "",
      {{"auth", json::object({{"type", "m.login.dummy"}, {"session", first.text({"session"})}})}});
  EXPECT_EQ(late.status, 401);
  EXPECT_NE(late.text({"session"}), first.text({"session"}));
  EXPECT_EQ(call("GET", "/_matrix/client/v3/register/available?username=alice").status, 200);
}

TEST_F(RegistrationTest, TheSharedSecretRegistersOnceForANonce) {
  const std::string path = "/_synapse/admin/v1/register";
  const std::string nonce = call("GET", path).text({"nonce"});
  const std::string mac =
      crypto::hmac_sha1_hex("secret", nonce + '\0' + "root" + '\0' + "pw" + '\0' + "admin");
  const auto body = [&](const std::string& with) {
    return R"({"nonce":")" + nonce + R"(","username":"root","password":"pw","admin":true,"mac":")" +
           with + "\"}";
  };
  // Whoever asks for others, or guesses, takes it from nobody.
  for (int i = 0; i < 1001; ++i)
    EXPECT_EQ(call("GET", path).status, 200);
  EXPECT_EQ(call("POST", path, "", body("guess")).status, 403);
  EXPECT_EQ(call("POST", path, "", body(mac)).text({"user_id"}), "@root:own");
  // Who makes accounts for others is on record, together with the account.
  const auto records = *stores::read_audit(*database_->snapshot(), 0, 10);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].act, "register");
  EXPECT_EQ(records[0].actor_kind, "administrator");
  EXPECT_EQ(records[0].target, "root");
  EXPECT_TRUE(records[0].permitted);
  EXPECT_EQ(call("POST", path, "", body(mac)).text({"error"}), "unrecognised nonce");
}

TEST_F(RegistrationTest, ANonceIsGoodForMinutesAndOnlyWhereItWasMade) {
  const std::string path = "/_synapse/admin/v1/register";
  const auto use = [&](std::string nonce) {
    const std::string mac =
        crypto::hmac_sha1_hex("secret", nonce + '\0' + "eve" + '\0' + "pw" + '\0' + "notadmin");
    return call("POST", path, "",
                R"({"nonce":")" + nonce + R"(","username":"eve","password":"pw","mac":")" + mac +
                    "\"}")
        .text({"error"});
  };
  const std::string old = call("GET", path).text({"nonce"});
  simulation_->run_for(Millis(301'000));
  EXPECT_EQ(use(old), "unrecognised nonce");
  std::string forged = call("GET", path).text({"nonce"});
  forged[10] = forged[10] == '1' ? '2' : '1';
  EXPECT_EQ(use(forged), "unrecognised nonce");
  EXPECT_EQ(use(""), "unrecognised nonce");
}

// https://spec.matrix.org/v1.19/application-service-api/#registration
TEST_F(RegistrationTest, NobodyTakesANameThatAnApplicationServiceHasForItself) {
  EXPECT_EQ(post("/register", "", wanting("_irc_early")).status, 200);
  register_bridge();
  crash();
  for (const char* name : {"_irc_x", "_IRC_x", "ircbot"}) {
    for (const json::Object& body : {wanting(name), json::Object{{"username", name}}}) {
      const Answer refused = post("/register", "", body);
      EXPECT_EQ(refused.status, 400) << name;
      EXPECT_EQ(refused.text({"errcode"}), "M_EXCLUSIVE") << name;
    }
    const std::string path = "/_matrix/client/v3/register/available?username=";
    EXPECT_EQ(call("GET", path + name).text({"errcode"}), "M_EXCLUSIVE") << name;
  }
  EXPECT_EQ(post("/register", "", wanting("irc_x")).status, 200);
  EXPECT_EQ(post("/register", "", wanting("seen_x")).status, 200) << "not exclusive";
  const std::string nonce = call("GET", "/_synapse/admin/v1/register").text({"nonce"});
  const std::string mac =
      crypto::hmac_sha1_hex("secret", nonce + '\0' + "_irc_y" + '\0' + "pw" + '\0' + "notadmin");
  const json::Object proved{
      {"nonce", nonce}, {"username", "_irc_y"}, {"password", "pw"}, {"mac", mac}};
  EXPECT_EQ(call("POST", "/_synapse/admin/v1/register", "", json::write(proved)).text({"errcode"}),
            "M_EXCLUSIVE");
}

// A name that the server makes up is not another's either: half of them are, or all.
TEST_F(RegistrationTest, NamesThatAreMadeUpAreNotThoseOfAnApplicationService) {
  guests_ = true;
  for (const auto& [regex, free] :
       std::vector<std::pair<std::string, bool>>{{"@[a-m]", true}, {"@.*", false}}) {
    register_bridge(regex);
    crash();
    for (int i = 0; i < 8; ++i) {
      for (const Answer& answer :
           {post("/register", "",
                 json::Object{{"auth", json::object({{"type", "m.login.dummy"}})}}),
            post("/register?kind=guest", "", json::Object())}) {
        EXPECT_EQ(answer.status, free ? 200 : 400) << regex;
        if (!free) EXPECT_EQ(answer.text({"errcode"}), "M_EXCLUSIVE");
        if (free) EXPECT_FALSE(answer.text({"user_id"}) < "@n") << answer.text({"user_id"});
      }
    }
  }
}

TEST_F(RegistrationTest, RegistrationsOfServicesAreReadAgainWholeOrNotAtAll) {
  Config config = homeserver_->config();
  const std::string available = "/_matrix/client/v3/register/available?username=_irc_x";
  EXPECT_EQ(call("GET", available).status, 200);
  register_bridge();
  configure_(config);
  config.server_name = ServerName::trusted("later.example");  // which needs a restart
  ASSERT_TRUE(homeserver_->reconfigure(config).ok());
  EXPECT_EQ(call("GET", available).text({"errcode"}), "M_EXCLUSIVE");
  ASSERT_TRUE(files_->write_atomically(config.appservices.directory + "/bad.yaml", "id: [").ok());
  config.registration.enabled = false;
  EXPECT_FALSE(homeserver_->reconfigure(config).ok());
  EXPECT_EQ(call("GET", available).text({"errcode"}), "M_EXCLUSIVE");
  EXPECT_EQ(post("/register", "", wanting("alice")).status, 200) << "it is as it was";
}

}  // namespace
}  // namespace polder::server
