#include "federation/server/testing/server.h"

namespace polder::federation_server {
namespace {

class AuthenticationTest : public ServerTest {
 protected:
  Task<Result<http::Response>> slow() {
    co_await runtime::sleep_for(runtime_, Millis(1000));
    co_return ok_json({});
  }

  const std::string target_ = "/_matrix/federation/v1/query/profile?user_id=%40alice%3Aown.example";
};

TEST_F(AuthenticationTest, ASignedRequestIsAnswered) {
  EXPECT_EQ(get(target_).status, 200);
  EXPECT_EQ(get(target_, third_).status, 200);
}

TEST_F(AuthenticationTest, WhateverIsNotRightlySignedIsRefusedAndLoggedOnce) {
  const std::string good = header(other_, "GET", target_, "");
  const auto replaced = [&](std::string_view what, std::string_view by) {
    std::string text = good;
    const size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), by);
  };
  struct Case {
    std::string_view what;
    std::vector<std::string> headers;
  };
  const std::vector<Case> cases = {
      {"no header", {}},
      {"another scheme", {"Bearer token"}},
      {"malformed", {"X-Matrix origin="}},
      {"another destination", {replaced("own.example", "elsewhere.example")}},
      {"another origin", {replaced("other.example", "third.example")}},
      {"an origin that has no keys", {replaced("other.example", "fourth.example")}},
      {"this server itself", {header(own_, "GET", target_, "")}},
      {"another key", {replaced("ed25519:2", "ed25519:9")}},
      {"another method", {header(other_, "PUT", target_, "")}},
      {"another path", {header(other_, "GET", target_ + "&x", "")}},
      {"content where there is none", {header(other_, "GET", target_, "{}")}},
      {"two origins", {good, header(third_, "GET", target_, "")}},
      {"too many", {good, good, good, good, good}},
  };
  for (const Case& item : cases) {
    runtime_.lines.clear();
    const Answer answer = raw("GET", target_, "", item.headers);
    EXPECT_EQ(answer.status, 401) << item.what;
    EXPECT_EQ(answer.errcode(), "M_UNAUTHORIZED") << item.what;
    EXPECT_EQ(logged("federation_request_refused"), 1u) << item.what;
  }
}

TEST_F(AuthenticationTest, OlderServersLeaveTheDestinationOut) {
  std::string text = header(other_, "GET", target_, "");
  const std::string_view part = ",destination=\"own.example\"";
  ASSERT_NE(text.find(part), std::string::npos);
  text.erase(text.find(part), part.size());
  EXPECT_EQ(raw("GET", target_, "", {text}).status, 200);
}

TEST_F(AuthenticationTest, OneOfSeveralKeysIsEnough) {
  std::string wrong = header(other_, "GET", target_, "");
  wrong.replace(wrong.find("ed25519:2"), 9, "ed25519:9");
  EXPECT_EQ(raw("GET", target_, "", {wrong, header(other_, "GET", target_, "")}).status, 200);
}

TEST_F(AuthenticationTest, AnExpiredKeyDoesNotCount) {
  servers_.valid_for_ms = -1000;
  EXPECT_EQ(get(target_).status, 401);
}

TEST_F(AuthenticationTest, TheBodyIsSignedAsCanonicalJson) {
  const std::string target = "/_matrix/federation/v1/user/keys/query";
  const std::string canonical = R"({"a":1,"device_keys":{}})";
  const std::string sent = "{ \"device_keys\" : {}, \"a\": 1 }";
  EXPECT_EQ(raw("POST", target, sent, {header(other_, "POST", target, canonical)}).status, 200);
  EXPECT_EQ(raw("POST", target, canonical, {header(other_, "POST", target, canonical)}).status,
            200);
  EXPECT_EQ(raw("POST", target, R"({"a":2,"device_keys":{}})",
                {header(other_, "POST", target, canonical)})
                .status,
            401);
  EXPECT_EQ(raw("POST", target, canonical, {header(other_, "POST", target, "")}).status, 401);
}

TEST_F(AuthenticationTest, NothingIsReadFromWhoSignsWithAKeyThatNobodyKnows) {
  const std::string target = "/_matrix/federation/v1/send/t";
  const std::string body = R"({"pdus":[]})";
  const std::string good = header(other_, "PUT", target, body);
  for (const auto& [what, by] : std::vector<std::pair<std::string, std::string>>{
           {"other.example", "fourth.example"}, {"ed25519:2", "ed25519:9"}}) {
    std::string unknown = good;
    unknown.replace(unknown.find(what), what.size(), by);
    EXPECT_EQ(raw("PUT", target, body, {unknown}).status, 401);
    EXPECT_EQ(reads_of_bodies_, 0u);
  }
  EXPECT_EQ(raw("PUT", target, body, {good}).status, 200);
  EXPECT_GT(reads_of_bodies_, 0u);
}

TEST_F(AuthenticationTest, BodiesThatAreNoJsonObjectAreRefused) {
  const std::string target = "/_matrix/federation/v1/send/t";
  std::string deep;
  for (int i = 0; i < 1000; ++i)
    deep += R"({"a":)";
  deep += "1" + std::string(1000, '}');
  struct Case {
    std::string body;
    int status;
    std::string_view errcode;
  };
  const std::vector<Case> cases = {
      {"{", 400, "M_NOT_JSON"},
      {"nonsense", 400, "M_NOT_JSON"},
      {"\xff", 400, "M_NOT_JSON"},
      {R"({"a":1,"a":2})", 400, "M_NOT_JSON"},
      {"[]", 400, "M_BAD_JSON"},
      {deep, 401, "M_UNAUTHORIZED"},  // JSON it is, but not what was signed
      {std::string(kTransactionBody + 1, ' '), 413, "M_TOO_LARGE"},
  };
  for (const Case& item : cases) {
    const Answer answer =
        raw("PUT", target, item.body, {header(other_, "PUT", target, item.body.substr(0, 9))});
    EXPECT_EQ(answer.status, item.status) << item.body.substr(0, 40);
    EXPECT_EQ(answer.errcode(), item.errcode) << item.body.substr(0, 40);
  }
}

TEST_F(AuthenticationTest, UnknownEndpointsAndMethodsAreUnrecognised) {
  EXPECT_EQ(get("/_matrix/federation/v1/nonsense").status, 404);
  EXPECT_EQ(get("/_matrix/federation/v1/nonsense").errcode(), "M_UNRECOGNIZED");
  const Answer answer = post("/_matrix/federation/v1/version", {});
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.errcode(), "M_UNRECOGNIZED");
}

// https://spec.matrix.org/v1.19/client-server-api/#rate-limiting
TEST_F(AuthenticationTest, AServerThatAsksTooOftenIsToldToWait) {
  size_t asked = 0;
  while (get(target_).status == 200 && asked < 3000)
    ++asked;
  EXPECT_GE(asked, 1000u);
  EXPECT_LT(asked, 3000u);
  const Answer limited = get(target_);
  EXPECT_EQ(limited.status, 429);
  EXPECT_EQ(limited.errcode(), "M_LIMIT_EXCEEDED");
  EXPECT_EQ(logged("rate_limited"), 1u);
  // Not even read: what would be refused for its body is refused for its sender.
  EXPECT_EQ(
      raw("PUT", "/_matrix/federation/v1/send/1", "{", {header(other_, "PUT", "/", "")}).status,
      429);
  EXPECT_EQ(get(target_, third_).status, 200);
  simulation_->run_for(Millis(1000));
  EXPECT_EQ(get(target_).status, 200);
}

TEST_F(AuthenticationTest, ForgedRequestsAreCountedForTheirAddressAndNotForTheOneTheyName) {
  const std::string forged = header(other_, "PUT", target_, "");
  address_ = "198.51.100.1";
  size_t asked = 0;
  while (raw("GET", target_, "", {forged}).status == 401 && asked < 3000)
    ++asked;
  EXPECT_GE(asked, 1000u);
  EXPECT_LT(asked, 3000u);
  EXPECT_EQ(raw("GET", target_, "", {}).status, 401) << "this costs nothing";
  address_ = "192.0.2.1";
  EXPECT_EQ(get(target_).status, 200);
}

TEST_F(AuthenticationTest, AServerHasSoManyRequestsUnderWay) {
  http::Route route;
  route.path = "/_matrix/federation/v1/slow";
  route.authentication = http::Authentication::kServer;
  route.handler = [this](http::Exchange&) { return slow(); };
  const std::string target(route.path);
  router_.add(std::move(route));
  std::vector<std::optional<Answer>> answers(kRequestsAtOnce + 5);
  const std::string signature = header(other_, "GET", target, "");
  for (auto& answer : answers) {
    runtime::spawn(runtime_, runtime_.shard(0), "request",
                   perform("GET", target, "", {signature}, answer));
  }
  simulation_->run_for(Millis(100));
  EXPECT_EQ(get(target_).status, 429);
  EXPECT_EQ(get(target_, third_).status, 200);
  EXPECT_TRUE(simulation_->run_until(
      [&] { return std::ranges::all_of(answers, [](const auto& a) { return a.has_value(); }); },
      Millis(60'000)));
  EXPECT_EQ(std::ranges::count_if(answers, [](const auto& a) { return a->status == 200; }), 10);
  EXPECT_EQ(std::ranges::count_if(answers, [](const auto& a) { return a->status == 429; }), 5);
  EXPECT_EQ(get(target_).status, 200);
}

TEST_F(AuthenticationTest, AllButKeysAndVersionNeedASignature) {
  for (const http::Route* route : router_.routes()) {
    const bool open = route->path == "/_matrix/federation/v1/version" ||
                      route->path.starts_with("/_matrix/key/v2/");
    EXPECT_EQ(route->authentication == http::Authentication::kServer, !open) << route->path;
    EXPECT_EQ(route->resource, http::Resource::kFederation) << route->path;
  }
}

}  // namespace
}  // namespace polder::federation_server
