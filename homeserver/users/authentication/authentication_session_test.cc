#include "homeserver/users/authentication/authentication_session.h"

#include <gtest/gtest.h>

#include "homeserver/base/json/write.h"

namespace polder::users {
namespace {

using Fit = AuthenticationSession::Fit;

GuardedRequest request_of_alice(json::Object parameters, Parameters kind = Parameters::kSame) {
  GuardedRequest request;
  request.operation = "POST /delete_devices";
  request.user = UserId::trusted("@alice:own");
  request.device = DeviceId::trusted("PHONE");
  request.address = "192.0.2.1";
  request.parameters = std::move(parameters);
  request.kind = kind;
  request.flows = {{kPasswordStage}};
  return request;
}

// What a session for {"devices": "A"} says of a request that differs in one thing.
TEST(AuthenticationSession, IsForOneRequestOfOneDevice) {
  struct Case {
    const char* what;
    void (*change)(GuardedRequest&);
    Fit fit;
  };
  const Case cases[] = {
      {"nothing", [](GuardedRequest&) {}, Fit::kSame},
      {"the address", [](GuardedRequest& r) { r.address = "192.0.2.2"; }, Fit::kSame},
      {"the user", [](GuardedRequest& r) { r.user = UserId::trusted("@eve:own"); },
       Fit::kOtherAsker},
      {"nobody", [](GuardedRequest& r) { r.user.reset(); }, Fit::kOtherAsker},
      {"the device", [](GuardedRequest& r) { r.device = DeviceId::trusted("TABLET"); },
       Fit::kOtherAsker},
      {"the operation", [](GuardedRequest& r) { r.operation = "POST /account/deactivate"; },
       Fit::kOtherOperation},
      {"what is asked for", [](GuardedRequest& r) { r.flows = {{"m.stronger"}}; },
       Fit::kOtherFlows},
      {"a parameter", [](GuardedRequest& r) { r.parameters.set("devices", "B"); },
       Fit::kOtherParameters},
      {"one more", [](GuardedRequest& r) { r.parameters.set("x", 1); }, Fit::kOtherParameters},
      {"one less", [](GuardedRequest& r) { r.parameters.erase("devices"); }, Fit::kOtherParameters},
  };
  for (const Parameters kind : {Parameters::kSame, Parameters::kSameAndSecret}) {
    const GuardedRequest first = request_of_alice({{"devices", "A"}}, kind);
    const AuthenticationSession session(first);
    for (const Case& c : cases) {
      GuardedRequest other = first;
      c.change(other);
      EXPECT_EQ(session.fit(other), c.fit) << c.what;
    }
  }
}

TEST(AuthenticationSession, GatheredParametersMayBeOthers) {
  const AuthenticationSession session(request_of_alice({{"username", "a"}}, Parameters::kGathered));
  EXPECT_EQ(session.fit(request_of_alice({{"username", "b"}}, Parameters::kGathered)), Fit::kSame);
}

TEST(AuthenticationSession, WhatIsLeftOutIsAsItWasSaid) {
  const std::string large(kSessionBytesMax, 'x');
  struct Case {
    const char* what;
    Parameters kind;
    json::Object first, later, meant;
  };
  const json::Object ab{{"a", 1}, {"b", 2}};
  const std::vector<Case> cases = {
      {"all", Parameters::kSame, ab, {}, ab},
      {"a part", Parameters::kSame, ab, {{"a", 1}}, {{"a", 1}}},
      {"nothing", Parameters::kSame, ab, ab, ab},
      {"a secret", Parameters::kSameAndSecret, ab, {}, {}},
      {"what is too large", Parameters::kSame, {{"a", large}}, {}, {}},
      {"all that was gathered", Parameters::kGathered, ab, {}, ab},
      {"a part of it", Parameters::kGathered, ab, {{"b", 3}}, {{"a", 1}, {"b", 3}}},
  };
  for (const Case& c : cases) {
    const AuthenticationSession session(request_of_alice(c.first, c.kind));
    EXPECT_EQ(session.completed_by_earlier(request_of_alice(c.later, c.kind)), c.meant) << c.what;
    EXPECT_LT(session.bytes(), 2 * kSessionBytesMax) << c.what;
  }
}

TEST(AuthenticationSession, GathersUntilItIsCarriedOut) {
  AuthenticationSession session(request_of_alice({{"username", "a"}}, Parameters::kGathered));
  session.remember(request_of_alice({{"username", "b"}}, Parameters::kGathered));
  const GuardedRequest nothing = request_of_alice({}, Parameters::kGathered);
  EXPECT_EQ(*session.completed_by_earlier(nothing).find_string("username"), "b");
  session.complete(kPasswordStage);
  session.carry_out({{"user_id", "@b:own"}});
  session.remember(request_of_alice({{"username", "c"}}, Parameters::kGathered));
  EXPECT_TRUE(session.completed_by_earlier(nothing).empty()) << "a password's hash may be in it";
  EXPECT_EQ(*session.result()->find_string("user_id"), "@b:own");
}

// https://spec.matrix.org/v1.19/client-server-api/#overview-1: "the flow's stages must be completed
// in order".
TEST(AuthenticationSession, StagesOfAFlowAreCompletedInOrder) {
  const Flows flows = {{"a", "b"}, {"a", "c", "d"}, {"e"}};
  struct Case {
    Stages completed;
    Stages next;  // of a to f
    bool authorised;
  };
  const std::vector<Case> cases = {
      {{}, {"a", "e"}, false},    {{"a"}, {"b", "c"}, false},  {{"a", "b"}, {}, true},
      {{"a", "c"}, {"d"}, false}, {{"a", "c", "d"}, {}, true}, {{"e"}, {}, true},
  };
  for (const Case& c : cases) {
    GuardedRequest request = request_of_alice({});
    request.flows = flows;
    AuthenticationSession session(request);
    for (const std::string& stage : c.completed) {
      EXPECT_FALSE(session.authorised());
      EXPECT_TRUE(session.may_attempt(stage));
      EXPECT_FALSE(session.has_completed(stage));
      session.complete(stage);
      EXPECT_TRUE(session.has_completed(stage));
    }
    Stages next;
    for (const char* stage : {"a", "b", "c", "d", "e", "f", ""})
      if (session.may_attempt(stage)) next.emplace_back(stage);
    EXPECT_EQ(next, c.next);
    EXPECT_EQ(session.authorised(), c.authorised);
  }
}

TEST(AuthenticationSession, SaysWhatIsMissing) {
  GuardedRequest request = request_of_alice({});
  request.flows = {{"a", "b"}, {"c"}};
  AuthenticationSession session(request);
  const std::string flows = R"("flows":[{"stages":["a","b"]},{"stages":["c"]}],"params":{})";
  EXPECT_EQ(json::write(session.challenge("S")), "{" + flows + R"(,"session":"S"})");
  session.complete("a");
  EXPECT_EQ(json::write(session.challenge("S", std::nullopt)),
            R"({"completed":["a"],)" + flows + R"(,"session":"S"})");
  EXPECT_EQ(
      json::write(session.challenge("S", fail(ErrorCode::kForbidden, "M_FORBIDDEN", "No"))),
      R"({"completed":["a"],"errcode":"M_FORBIDDEN","error":"No",)" + flows + R"(,"session":"S"})");
}

}  // namespace
}  // namespace polder::users
