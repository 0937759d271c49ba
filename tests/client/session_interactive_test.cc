// Requests that are carried out once their user has shown who they are.
// https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class InteractiveTest : public HomeserverTest {
 protected:
  InteractiveTest() {
    alice_ = join_token("alice");
    for (const char* device : {"ONE", "TWO"}) {
      post("/login", "",
           {{"type", "m.login.password"},
            {"identifier", json::object({{"type", "m.id.user"}, {"user", "alice"}})},
            {"password", "pw"},
            {"device_id", device}});
    }
  }
  std::string session_of(const Answer& challenge) {
    EXPECT_EQ(challenge.status, 401);
    return challenge.text({"session"});
  }
  Answer remove(const std::string& token, json::Object body) {
    return post("/delete_devices", token, std::move(body));
  }
  // {"devices": [device], "auth": …}; no device: nothing but `auth`.
  static json::Object removing(const char* device, std::string session,
                               const char* password = "pw") {
    json::Object auth{{"session", std::move(session)}};
    if (password != nullptr) {
      auth.set("type", "m.login.password");
      auth.set("identifier", json::object({{"type", "m.id.user"}, {"user", "alice"}}));
      auth.set("password", password);
    }
    json::Object body{{"auth", std::move(auth)}};
    if (device != nullptr) body.set("devices", json::Array(1, device));
    return body;
  }
  bool has(const char* device) {
    return call("GET", std::string("/_matrix/client/v3/devices/") + device, alice_).status == 200;
  }

  std::string alice_;
};

TEST_F(InteractiveTest, TheSameRequestIsCarriedOutOnceThePasswordIsShown) {
  const Answer challenge = remove(alice_, {{"devices", json::Array(1, "ONE")}});
  EXPECT_EQ(challenge.status, 401);
  json::Object body = *challenge.body.as_object();
  const std::string session = challenge.text({"session"});
  body.erase("session");
  EXPECT_EQ(json::write(body), R"({"flows":[{"stages":["m.login.password"]}],"params":{}})");
  const Answer wrong = remove(alice_, removing("ONE", session, "wrong"));
  EXPECT_EQ(wrong.status, 401);
  EXPECT_EQ(json::write(wrong.body),
            R"({"completed":[],"errcode":"M_FORBIDDEN","error":"Invalid password",)"
            R"("flows":[{"stages":["m.login.password"]}],"params":{},"session":")" +
                session + "\"}");
  EXPECT_TRUE(has("ONE"));
  EXPECT_EQ(json::write(remove(alice_, removing("ONE", session)).body), "{}");
  EXPECT_FALSE(has("ONE"));
}

TEST_F(InteractiveTest, ASessionAuthorisesWhatItWasBegunForAndOnce) {
  const std::string bob = join_token("bob");
  const std::string session = session_of(remove(alice_, {{"devices", json::Array(1, "ONE")}}));
  json::Object bobs = with_password({{"devices", json::Array(1, "ONE")}}, "bob");
  bobs.find("auth")->as_object()->set("session", session);
  const Answer of_bob = remove(bob, bobs);
  EXPECT_EQ(of_bob.status, 401);
  EXPECT_EQ(of_bob.text({"errcode"}), "M_UNKNOWN");
  EXPECT_NE(of_bob.text({"session"}), session);

  const Answer other_body = remove(alice_, removing("TWO", session));
  EXPECT_EQ(other_body.status, 401);
  EXPECT_EQ(other_body.text({"errcode"}), "M_UNKNOWN");
  EXPECT_NE(session_of(other_body), session);

  const Answer other_path = call("DELETE", "/_matrix/client/v3/devices/TWO", alice_,
                                 json::write(removing(nullptr, session)));
  EXPECT_EQ(other_path.status, 403);
  EXPECT_EQ(other_path.text({"errcode"}), "M_FORBIDDEN");
  EXPECT_TRUE(has("ONE") && has("TWO"));

  EXPECT_EQ(remove(alice_, removing("ONE", session)).status, 200);
  EXPECT_FALSE(has("ONE"));
  EXPECT_EQ(remove(alice_, removing("ONE", session, "wrong")).status, 200) << "as it was";
  EXPECT_EQ(remove(alice_, removing("TWO", session)).status, 401);
  EXPECT_TRUE(has("TWO"));
}

// Whoever is asked on another page sends nothing but the session.
TEST_F(InteractiveTest, WhatWasSaidNeedNotBeSaidAgain) {
  const std::string session = session_of(remove(alice_, {{"devices", json::Array(1, "ONE")}}));
  EXPECT_EQ(remove(alice_, removing(nullptr, session, nullptr)).status, 401);
  EXPECT_EQ(remove(alice_, removing(nullptr, session)).status, 200);
  EXPECT_FALSE(has("ONE"));
  EXPECT_TRUE(has("TWO"));
  EXPECT_EQ(remove(alice_, removing(nullptr, "unknown")).text({"errcode"}), "M_MISSING_PARAM");
}

TEST_F(InteractiveTest, ANewPasswordIsNotKept) {
  const Answer challenge = post("/account/password", alice_, {{"new_password", "next"}});
  const std::string session = session_of(challenge);
  const Answer without = post("/account/password", alice_, removing(nullptr, session));
  EXPECT_EQ(without.status, 401);
  json::Object other = removing(nullptr, session);
  other.set("new_password", "eve's");
  EXPECT_EQ(post("/account/password", alice_, other).status, 401);
  json::Object same = removing(nullptr, session);
  same.set("new_password", "next");
  EXPECT_EQ(post("/account/password", alice_, same).status, 200);
}

// The identifier names who asks; there are no addresses and phone numbers that anybody is known by.
TEST_F(InteractiveTest, ThePasswordIsThatOfWhoAsks) {
  join_token("bob");
  struct Case {
    const char* auth;
    int status;
    const char* errcode;
  };
  const Case cases[] = {
      {R"("identifier":{"type":"m.id.user","user":"bob"})", 403, "M_FORBIDDEN"},
      {R"("identifier":{"type":"m.id.user","user":"@bob:own"})", 403, "M_FORBIDDEN"},
      {R"("user":"bob")", 403, "M_FORBIDDEN"},
      {R"("identifier":{"type":"m.id.thirdparty","medium":"email","address":"a@b.example"})", 403,
       "M_FORBIDDEN"},
      {R"("medium":"email","address":"a@b.example")", 403, "M_FORBIDDEN"},
      {R"("identifier":{"type":"m.id.phone","country":"GB","phone":"07700 900001"})", 403,
       "M_FORBIDDEN"},
      {R"("identifier":{"type":"m.id.phone","country":"GB"})", 400, "M_MISSING_PARAM"},
      {R"("identifier":{"type":"m.id.pigeon"})", 400, "M_UNKNOWN"},
      {R"("identifier":{"user":"alice"})", 400, "M_MISSING_PARAM"},
      {R"("user":"@ALICE:own")", 200, ""},
      {R"("user":"alice")", 200, ""},
  };
  for (const Case& c : cases) {
    const std::string session = session_of(remove(alice_, {{"devices", json::Array()}}));
    for (const std::string& with : {std::string(), R"("session":")" + session + "\","}) {
      const Answer answer = call("POST", "/_matrix/client/v3/delete_devices", alice_,
                                 R"({"devices":[],"auth":{"type":"m.login.password",)" + with +
                                     R"("password":"pw",)" + c.auth + "}}");
      EXPECT_EQ(answer.status, c.status) << c.auth;
      EXPECT_EQ(answer.text({"errcode"}), c.errcode) << c.auth;
    }
  }
}

TEST_F(InteractiveTest, WhatIsNotOfferedIsNoProof) {
  struct Case {
    const char* auth;
    const char* errcode;  // beside the flows
  };
  const Case cases[] = {
      {R"({"type":"m.login.dummy"})", "M_FORBIDDEN"},
      {R"({"type":"m.login.sso","token":"x"})", "M_FORBIDDEN"},
      {R"({"type":"m.login.password","password":"pw","session":"x"})", "M_UNKNOWN"},
      {R"({"password":"pw"})", ""},
      {R"({})", ""},
      {"null", ""},
  };
  for (const Case& c : cases) {
    const Answer answer = call("DELETE", "/_matrix/client/v3/devices/ONE", alice_,
                               std::string(R"({"auth":)") + c.auth + "}");
    EXPECT_EQ(answer.status, 401) << c.auth;
    EXPECT_EQ(answer.text({"errcode"}), c.errcode) << c.auth;
    EXPECT_NE(answer.text({"flows"}), "") << c.auth;
    EXPECT_NE(answer.text({"session"}), "") << c.auth;
  }
  EXPECT_TRUE(has("ONE"));
}

TEST_F(InteractiveTest, TwoAtOnceAreCarriedOutOnce) {
  const std::string session = session_of(remove(alice_, {{"devices", json::Array(1, "ONE")}}));
  const std::string body = json::write(removing("ONE", session));
  const auto one = begin("POST", "/_matrix/client/v3/delete_devices", alice_, body);
  const auto other = begin("POST", "/_matrix/client/v3/delete_devices", alice_, body);
  ASSERT_TRUE(simulation_->run_until([&] { return one->has_value() && other->has_value(); },
                                     Millis(60'000)));
  EXPECT_EQ((*one)->status, 200);
  EXPECT_EQ((*other)->status, 200);
  EXPECT_FALSE(has("ONE"));
}

TEST_F(InteractiveTest, SessionsThatAreFloodedWithAreNotThoseOfOthers) {
  const std::string bob = join_token("bob");
  const std::string session = session_of(remove(alice_, {{"devices", json::Array(1, "ONE")}}));
  for (int i = 0; i < 200; ++i)
    EXPECT_EQ(remove(bob, {{"devices", json::Array(1, std::string(200, 'x'))}}).status, 401);
  EXPECT_EQ(remove(alice_, removing("ONE", session)).status, 200);
}

TEST_F(InteractiveTest, AnOldSessionIsBegunAnew) {
  const std::string session = session_of(remove(alice_, {{"devices", json::Array(1, "ONE")}}));
  simulation_->run_for(Millis(3'600'000));
  const Answer late = remove(alice_, removing("ONE", session));
  const std::string next = session_of(late);
  EXPECT_NE(next, session);
  EXPECT_TRUE(has("ONE"));
  EXPECT_EQ(remove(alice_, removing("ONE", next)).status, 200);
}

}  // namespace
}  // namespace polder::server
