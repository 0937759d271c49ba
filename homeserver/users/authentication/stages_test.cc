#include "homeserver/users/authentication/stages.h"

#include <gtest/gtest.h>

#include "homeserver/base/json/parse.h"
#include "homeserver/base/runtime/testing/outcome.h"
#include "homeserver/users/authentication/flows.h"
#include "homeserver/users/authentication/identifier.h"
#include "homeserver/users/authentication/testing/identities.h"

namespace polder::users {
namespace {

const ServerName kOwnName = ServerName::trusted("own");

json::Object read(std::string_view text) {
  return *json::parse_object(text);
}

// https://spec.matrix.org/v1.19/client-server-api/#identifier-types
TEST(Identifier, NamesALocalUserOrNobody) {
  struct Case {
    const char* fields;
    const char* user;  // null: the error
    ErrorCode code = ErrorCode::kInternal;
    std::string_view errcode = {};
  };
  const Case cases[] = {
      {R"({"identifier":{"type":"m.id.user","user":"alice"}})", "@alice:own"},
      {R"({"identifier":{"type":"m.id.user","user":"@alice:own"}})", "@alice:own"},
      {R"({"identifier":{"type":"m.id.user","user":"@Alice:OWN"}})", "@alice:own"},
      {R"({"user":"alice"})", "@alice:own"},
      {R"({"user":"bob","identifier":{"type":"m.id.user","user":"alice"}})", "@alice:own"},
      {R"({"identifier":{"type":"m.id.user","user":"@alice:other"}})", nullptr,
       ErrorCode::kForbidden},
      {R"({"identifier":{"type":"m.id.user","user":"a b:c"}})", nullptr, ErrorCode::kForbidden},
      {R"({"identifier":{"type":"m.id.user"}})", nullptr, ErrorCode::kMissing},
      {R"({"identifier":{"type":"m.id.user","user":5}})", nullptr, ErrorCode::kBadType},
      {R"({"identifier":{"user":"alice"}})", nullptr, ErrorCode::kMissing},
      {R"({"identifier":"alice"})", nullptr, ErrorCode::kBadType},
      {R"({"identifier":{"type":"m.id.thirdparty","medium":"email","address":"a@b"}})", nullptr,
       ErrorCode::kForbidden},
      {R"({"identifier":{"type":"m.id.thirdparty","medium":"email"}})", nullptr,
       ErrorCode::kMissing},
      {R"({"identifier":{"type":"m.id.phone","country":"GB","phone":"123"}})", nullptr,
       ErrorCode::kForbidden},
      {R"({"identifier":{"type":"m.id.phone","country":"GB"}})", nullptr, ErrorCode::kMissing},
      {R"({"identifier":{"type":"m.id.pigeon"}})", nullptr, ErrorCode::kInvalid, "M_UNKNOWN"},
      {R"({"medium":"email","address":"a@b"})", nullptr, ErrorCode::kForbidden},
      {R"({"medium":"email"})", nullptr, ErrorCode::kMissing},
      {"{}", nullptr, ErrorCode::kMissing},
  };
  for (const Case& c : cases) {
    const auto user = read_identifier(read(c.fields), kOwnName);
    ASSERT_EQ(user.ok(), c.user != nullptr) << c.fields;
    if (user.ok()) {
      EXPECT_EQ(user->view(), c.user) << c.fields;
    } else {
      EXPECT_EQ(user.error().code, c.code) << c.fields;
      EXPECT_EQ(user.error().errcode.view(), c.errcode) << c.fields;
    }
  }
}

class StagesTest : public testing::Test {
 protected:
  Result<Refusal> attempt(Stage& stage, std::string_view auth) {
    return runtime::outcome(*simulation_, *runtime_,
                            stage.attempt(UserId::trusted("@alice:own"), read(auth)));
  }
  std::unique_ptr<runtime::Simulation> simulation_ = runtime::Simulation::create(1);
  std::unique_ptr<runtime::Runtime> runtime_ = simulation_->add_runtime("a");
  KnownPasswords identities_{{{"@alice:own", "right"}, {"@bob:own", "right"}, {"@eve:own", "x"}}};
};

// Whatever is not a guess at the caller's own password is none: nobody counts it, nobody is asked.
TEST_F(StagesTest, APasswordIsThatOfTheCaller) {
  struct Case {
    const char* auth;
    const char* outcome;  // "passed", "refused", or the error's code
    size_t asked;
  };
  const Case cases[] = {
      {R"({"password":"right"})", "passed", 1},
      {R"({"password":"right","user":"alice"})", "passed", 1},
      {R"({"password":"right","user":"@alice:own"})", "passed", 1},
      {R"({"password":"right","identifier":{"type":"m.id.user","user":"ALICE"}})", "passed", 1},
      {R"({"password":"wrong","user":"alice"})", "refused", 1},
      {R"({"password":"","user":"alice"})", "refused", 1},
      {R"({"password":"right","user":"bob"})", "forbidden", 0},
      {R"({"password":"right","user":"@alice:other"})", "forbidden", 0},
      {R"({"password":"right","identifier":{"type":"m.id.thirdparty","medium":"email",)"
       R"("address":"a@b"}})",
       "forbidden", 0},
      {R"({"password":"right","identifier":{"type":"m.id.phone","country":"GB","phone":"1"}})",
       "forbidden", 0},
      {R"({"password":"right","identifier":{"type":"m.id.pigeon"}})", "invalid", 0},
      {R"({"user":"alice"})", "missing", 0},
      {R"({"password":5})", "bad_type", 0},
  };
  PasswordStage stage(identities_, kOwnName);
  EXPECT_EQ(stage.type(), kPasswordStage);
  for (const Case& c : cases) {
    identities_.asked = 0;
    const auto outcome = attempt(stage, c.auth);
    const std::string_view got = !outcome.ok() ? to_string(outcome.error().code)
                                 : *outcome    ? "refused"
                                               : "passed";
    EXPECT_EQ(got, c.outcome) << c.auth;
    EXPECT_EQ(identities_.asked, c.asked) << c.auth;
  }
}

TEST_F(StagesTest, WhatAProviderCannotTellIsNoWrongPassword) {
  PasswordStage stage(identities_, kOwnName);
  for (const ErrorCode code : {ErrorCode::kRateLimited, ErrorCode::kUnavailable}) {
    identities_.broken = fail(code, "not now");
    EXPECT_EQ(attempt(stage, R"({"password":"right"})").error().code, code);
  }
}

TEST_F(StagesTest, WhoIsDeactivatedProvesNothing) {
  identities_.deactivated = true;
  PasswordStage stage(identities_, kOwnName);
  EXPECT_TRUE(attempt(stage, R"({"password":"right"})")->has_value());
}

TEST_F(StagesTest, ARegistrationTokenIsGoodOrNot) {
  RegistrationTokenStage stage([](std::string_view token) { return token == "good"; });
  EXPECT_EQ(stage.type(), kRegistrationTokenStage);
  EXPECT_FALSE(attempt(stage, R"({"token":"good"})")->has_value());
  EXPECT_EQ((*attempt(stage, R"({"token":"bad"})"))->errcode.view(), "M_UNAUTHORIZED");
  EXPECT_EQ(attempt(stage, "{}").error().code, ErrorCode::kMissing);
  EXPECT_EQ(attempt(stage, R"({"token":5})").error().code, ErrorCode::kBadType);
}

TEST_F(StagesTest, TheDummyStageAlwaysSucceeds) {
  DummyStage stage;
  EXPECT_EQ(stage.type(), kDummyStage);
  EXPECT_FALSE(attempt(stage, "{}")->has_value());
}

}  // namespace
}  // namespace polder::users
