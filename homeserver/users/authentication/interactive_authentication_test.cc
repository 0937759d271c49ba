#include "homeserver/users/authentication/interactive_authentication.h"

#include <gtest/gtest.h>

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/runtime/testing/outcome.h"
#include "homeserver/users/authentication/testing/scripted_stage.h"

namespace polder::users {
namespace {

class InteractiveAuthenticationTest : public testing::Test {
 protected:
  InteractiveAuthenticationTest() { boot({}); }
  ~InteractiveAuthenticationTest() override { simulation_->crash(*runtime_); }

  void boot(AuthenticationBounds bounds) {
    authentication_ = std::make_unique<InteractiveAuthentication>(
        *runtime_, std::vector<Stage*>{&first_, &second_}, bounds);
  }

  static GuardedRequest request(json::Object parameters = {{"devices", "A"}}) {
    GuardedRequest request;
    request.operation = "POST /delete_devices";
    request.user = UserId::trusted("@alice:own");
    request.device = DeviceId::trusted("PHONE");
    request.parameters = std::move(parameters);
    request.flows = {{"first", "second"}};
    return request;
  }
  static GuardedRequest short_request() {
    GuardedRequest one = request();
    one.flows = {{"first"}};
    return one;
  }
  // What proves it, as clients send it; empty: nothing is sent.
  static std::optional<json::Object> auth(const std::string& type, const std::string& session,
                                          const std::string& answer = "right") {
    json::Object shown;
    if (!type.empty()) shown.set("type", type);
    if (!session.empty()) shown.set("session", session);
    if (!answer.empty()) shown.set("answer", answer);
    return shown;
  }
  Task<Result<json::Object>> carry_out() {
    ++carried_out_;
    if (fails_) co_return fail(ErrorCode::kUnavailable, "not now");
    co_return json::Object{{"times", static_cast<int64_t>(carried_out_)}};
  }
  Task<Result<InteractiveAnswer>> task(GuardedRequest request, std::optional<json::Object> auth) {
    return authentication_->perform(std::move(request), std::move(auth),
                                    [this] { return carry_out(); });
  }
  Result<InteractiveAnswer> perform(GuardedRequest request, std::optional<json::Object> auth) {
    return runtime::outcome(*simulation_, *runtime_, task(std::move(request), std::move(auth)));
  }
  using Pending = std::shared_ptr<std::optional<Result<InteractiveAnswer>>>;
  Pending begin(GuardedRequest request, std::optional<json::Object> auth) {
    auto pending = std::make_shared<std::optional<Result<InteractiveAnswer>>>();
    runtime::spawn(*runtime_, runtime_->shard(0), "test",
                   keep(task(std::move(request), std::move(auth)), pending));
    return pending;
  }
  static Task<void> keep(Task<Result<InteractiveAnswer>> task, Pending pending) {
    pending->emplace(co_await std::move(task));
  }
  std::string session_for(GuardedRequest request) {
    const auto answer = perform(std::move(request), std::nullopt);
    return *answer->body.find_string("session");
  }

  std::unique_ptr<runtime::Simulation> simulation_ = runtime::Simulation::create(1);
  std::unique_ptr<runtime::Runtime> runtime_ = simulation_->add_runtime("a");
  ScriptedStage first_{*runtime_, "first"};
  ScriptedStage second_{*runtime_, "second"};
  std::unique_ptr<InteractiveAuthentication> authentication_;
  size_t carried_out_ = 0;
  bool fails_ = false;
};

// A conversation in one session, a row a request.
TEST_F(InteractiveAuthenticationTest, StagesAreCompletedOneAfterTheOther) {
  const std::string session = session_for(request());
  struct Step {
    const char* what;
    std::string type, answer;
    bool carried_out;
    const char* completed;
    const char* errcode;  // empty: none
    size_t attempts;      // at the stages, since the beginning
  };
  const Step steps[] = {
      {"nothing is attempted", "", "", false, "[]", "", 0},
      {"the second stage first", "second", "right", false, "[]", "M_FORBIDDEN", 0},
      {"a stage of no flow", "third", "right", false, "[]", "M_FORBIDDEN", 0},
      {"a wrong answer", "first", "wrong", false, "[]", "M_FORBIDDEN", 1},
      {"the right one", "first", "right", false, R"(["first"])", "", 2},
      {"again, though it is completed", "first", "wrong", false, R"(["first"])", "", 2},
      {"the second, wrong", "second", "wrong", false, R"(["first"])", "M_FORBIDDEN", 3},
      {"the second, right", "second", "right", true, nullptr, "", 4},
      {"again: the same answer", "second", "wrong", true, nullptr, "", 4},
      {"again, by the session alone", "", "", true, nullptr, "", 4},
  };
  for (const Step& step : steps) {
    const auto answer = perform(request(), auth(step.type, session, step.answer));
    ASSERT_TRUE(answer.ok()) << step.what;
    EXPECT_EQ(answer->carried_out, step.carried_out) << step.what;
    EXPECT_EQ(first_.attempts + second_.attempts, step.attempts) << step.what;
    if (answer->carried_out) {
      EXPECT_EQ(json::write(answer->body), R"({"times":1})") << step.what;
      continue;
    }
    EXPECT_EQ(*answer->body.find_string("session"), session) << step.what;
    EXPECT_EQ(json::write(*answer->body.find("completed")), step.completed) << step.what;
    EXPECT_EQ(answer->body.contains("errcode"), *step.errcode != '\0') << step.what;
    EXPECT_TRUE(answer->body.contains("flows") && answer->body.contains("params")) << step.what;
  }
}

TEST_F(InteractiveAuthenticationTest, OneStageNeedsNoSession) {
  const auto wrong = perform(short_request(), auth("first", "", "wrong"));
  EXPECT_FALSE(wrong->carried_out);
  EXPECT_EQ(*wrong->body.find_string("errcode"), "M_FORBIDDEN");
  EXPECT_TRUE(perform(short_request(), auth("first", ""))->carried_out);
  EXPECT_TRUE(
      perform(short_request(), auth("first", *wrong->body.find_string("session")))->carried_out);
  EXPECT_EQ(carried_out_, 2u);
}

TEST_F(InteractiveAuthenticationTest, AuthThatShowsNothingIsAskedWhatToShow) {
  for (const char* shown : {"{}", R"({"answer":"right"})", R"({"session":""})"}) {
    const auto answer = perform(short_request(), *json::parse_object(shown));
    EXPECT_FALSE(answer->carried_out) << shown;
    EXPECT_FALSE(answer->body.contains("errcode")) << shown;
  }
  for (const char* shown : {R"({"type":5})", R"({"type":"first","session":5})"}) {
    EXPECT_EQ(perform(short_request(), *json::parse_object(shown)).error().code,
              ErrorCode::kBadType)
        << shown;
  }
  EXPECT_EQ(perform(short_request(), *json::parse_object(R"({"type":"first"})")).error().code,
            ErrorCode::kMissing);
  EXPECT_EQ(carried_out_, 0u);
}

// Whoever comes with a session that is not for what they want is not even tried: they learn nothing
// of it, and it stays as it was.
TEST_F(InteractiveAuthenticationTest, ASessionIsOfNoUseForAnythingElse) {
  struct Case {
    const char* what;
    void (*change)(GuardedRequest&);
    bool is_error;
  };
  const Case cases[] = {
      {"another user", [](GuardedRequest& r) { r.user = UserId::trusted("@eve:own"); }, false},
      {"another device", [](GuardedRequest& r) { r.device = DeviceId::trusted("X"); }, false},
      {"nobody", [](GuardedRequest& r) { r.user.reset(); }, false},
      {"more stages", [](GuardedRequest& r) { r.flows = {{"second", "first"}}; }, false},
      {"other parameters", [](GuardedRequest& r) { r.parameters.set("devices", "B"); }, false},
      {"another operation", [](GuardedRequest& r) { r.operation = "POST /deactivate"; }, true},
  };
  for (const Case& c : cases) {
    const std::string session = session_for(request());
    ASSERT_FALSE(perform(request(), auth("first", session))->carried_out);
    const size_t attempts = second_.attempts;
    GuardedRequest other = request();
    c.change(other);
    const auto answer = perform(other, auth("second", session));
    EXPECT_EQ(second_.attempts, attempts) << c.what;
    ASSERT_EQ(answer.ok(), !c.is_error) << c.what;
    if (answer.ok()) {
      EXPECT_FALSE(answer->carried_out) << c.what;
      EXPECT_NE(*answer->body.find_string("session"), session) << c.what;
      EXPECT_EQ(json::write(*answer->body.find("completed")), "[]") << c.what;
      EXPECT_EQ(*answer->body.find_string("errcode"), "M_UNKNOWN") << c.what;
    } else {
      EXPECT_EQ(answer.error().code, ErrorCode::kForbidden) << c.what;
    }
    EXPECT_EQ(carried_out_, 0u) << c.what;
    EXPECT_TRUE(perform(request(), auth("second", session))->carried_out) << c.what;
    carried_out_ = 0;
  }
}

TEST_F(InteractiveAuthenticationTest, AnUnknownSessionIsLikeThatOfAnother) {
  const auto unknown = perform(request(), auth("first", "unknown"));
  GuardedRequest other = request();
  other.user = UserId::trusted("@eve:own");
  const auto of_another = perform(other, auth("first", session_for(request())));
  json::Object same = unknown->body;
  same.set("session", *of_another->body.find("session"));
  EXPECT_EQ(of_another->body, same);
  EXPECT_EQ(first_.attempts, 0u);
}

TEST_F(InteractiveAuthenticationTest, TwoAtOnceAreCarriedOutOnce) {
  const std::string session = session_for(short_request());
  first_.holds = true;
  const Pending one = begin(short_request(), auth("first", session));
  const Pending other = begin(short_request(), auth("first", session));
  simulation_->run_for(Millis(1000));
  EXPECT_FALSE(one->has_value() || other->has_value());
  EXPECT_EQ(first_.attempts, 1u) << "the second has to wait for the first";
  first_.let_go();
  simulation_->run_for(Millis(1000));
  for (const Pending& pending : {one, other})
    EXPECT_EQ(json::write((**pending)->body), R"({"times":1})");
  EXPECT_EQ(carried_out_, 1u);
  EXPECT_EQ(first_.attempts, 1u);
}

TEST_F(InteractiveAuthenticationTest, NobodyWaitsForTheSessionOfAnother) {
  const std::string session = session_for(short_request());
  first_.holds = true;
  const Pending one = begin(short_request(), auth("first", session));
  simulation_->run_for(Millis(1000));
  GuardedRequest eve = short_request();
  eve.user = UserId::trusted("@eve:own");
  EXPECT_FALSE(perform(eve, auth("first", session))->carried_out);
  first_.let_go();
  simulation_->run_for(Millis(1000));
  EXPECT_TRUE((**one)->carried_out);
}

// A session that is pushed out while it is used authorises nothing a second time.
TEST_F(InteractiveAuthenticationTest, ASessionThatIsGoneMeanwhileIsNotCarriedOutAgain) {
  boot({.users = {.of_owner = 1}, .addresses = {}});
  const std::string session = session_for(short_request());
  first_.holds = true;
  const Pending one = begin(short_request(), auth("first", session));
  const Pending other = begin(short_request(), auth("first", session));
  simulation_->run_for(Millis(1000));
  session_for(short_request());
  first_.let_go();
  simulation_->run_for(Millis(1000));
  EXPECT_TRUE((**one)->carried_out);
  EXPECT_FALSE((**other)->carried_out);
  EXPECT_EQ(carried_out_, 1u);
}

TEST_F(InteractiveAuthenticationTest, WhatFailedMayBeTriedAgainAsItWas) {
  const std::string session = session_for(short_request());
  fails_ = true;
  EXPECT_EQ(perform(short_request(), auth("first", session)).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(perform(short_request(), auth("", session, "")).error().code, ErrorCode::kUnavailable);
  fails_ = false;
  GuardedRequest other = short_request();
  other.parameters.set("devices", "B");
  EXPECT_FALSE(perform(other, auth("", session, ""))->carried_out);
  EXPECT_TRUE(perform(short_request(), auth("", session, ""))->carried_out);
  EXPECT_EQ(first_.attempts, 1u);
  EXPECT_EQ(carried_out_, 3u);
}

TEST_F(InteractiveAuthenticationTest, SessionsEndWithTime) {
  const std::string session = session_for(request());
  ASSERT_FALSE(perform(request(), auth("first", session))->carried_out);
  simulation_->run_for(Millis(3'600'000));
  const auto late = perform(request(), auth("second", session));
  EXPECT_FALSE(late->carried_out);
  EXPECT_NE(*late->body.find_string("session"), session);
  EXPECT_EQ(second_.attempts, 0u);
}

TEST_F(InteractiveAuthenticationTest, FloodsTakeNothingFromAnybodyElse) {
  const std::string session = session_for(request());
  GuardedRequest stranger = request();
  stranger.user.reset();
  stranger.address = "192.0.2.1";
  const std::string newcomer = session_for(stranger);
  GuardedRequest eve = request({{"x", std::string(10'000, 'x')}});
  eve.user = UserId::trusted("@eve:own");
  GuardedRequest addresses = eve;
  addresses.user.reset();
  for (int i = 0; i < 3000; ++i) {
    session_for(eve);
    // All of one network are one.
    addresses.address = "2001:db8::" + std::to_string(i);
    session_for(addresses);
  }
  ASSERT_FALSE(perform(request(), auth("first", session))->carried_out);
  EXPECT_TRUE(perform(request(), auth("second", session))->carried_out);
  ASSERT_FALSE(perform(stranger, auth("first", newcomer))->carried_out);
  EXPECT_TRUE(perform(stranger, auth("second", newcomer))->carried_out);
}

TEST_F(InteractiveAuthenticationTest, StrangersAreCountedByNetwork) {
  boot({.users = {}, .addresses = {.of_owner = 1}});
  struct Case {
    const char* first;
    const char* second;
    bool same;
  };
  const Case cases[] = {
      {"192.0.2.1", "192.0.2.1", true},          {"192.0.2.1", "192.0.2.2", false},
      {"192.0.2.1", "::ffff:192.0.2.1", true},   {"2001:db8::1", "2001:db8::2", true},
      {"2001:db8::1", "2001:db8:0:1::1", false},
  };
  for (const Case& c : cases) {
    GuardedRequest first = request();
    first.user.reset();
    first.address = c.first;
    GuardedRequest second = first;
    second.address = c.second;
    const std::string session = session_for(first);
    session_for(second);
    const auto answer = perform(first, auth("first", session));
    EXPECT_EQ(answer->body.contains("errcode"), c.same) << c.first << " " << c.second;
  }
}

TEST_F(InteractiveAuthenticationTest, RecallsWhatWasSaidForTheSameAskerOnly) {
  const std::string session = session_for(request());
  GuardedRequest nothing = request({});
  const json::Object shown{{"session", session}};
  EXPECT_EQ(authentication_->recall(nothing, shown), request().parameters);
  EXPECT_TRUE(authentication_->recall(nothing, {}).empty());
  GuardedRequest eve = nothing;
  eve.user = UserId::trusted("@eve:own");
  EXPECT_TRUE(authentication_->recall(eve, shown).empty());
  GuardedRequest elsewhere = nothing;
  elsewhere.operation = "POST /elsewhere";
  EXPECT_TRUE(authentication_->recall(elsewhere, shown).empty());
}

}  // namespace
}  // namespace polder::users
