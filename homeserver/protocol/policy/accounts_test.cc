#include <gtest/gtest.h>

#include "homeserver/protocol/policy/decide.h"

namespace polder::policy {
namespace {

TEST(AccountsRule, WhoWasDeactivatedActsNoMoreAndTheServerHasThemLeave) {
  for (size_t i = 0; i < kPoints; ++i) {
    const Act act{.point = static_cast<Point>(i)};
    for (const bool erased : {false, true}) {
      const Facts facts{.account = Account{.deactivated = !erased, .erased = erased}};
      const Decision decision = decide(act, Client(), facts);
      ASSERT_NE(refusal_of(decision), nullptr) << to_string(act.point);
      EXPECT_EQ(refusal_of(decision)->errcode.view(), "M_USER_DEACTIVATED");
      EXPECT_EQ(refusal_of(decision)->rule, "accounts");
      EXPECT_NE(refusal_of(decide(act, ApplicationService(), facts)), nullptr);
      EXPECT_EQ(refusal_of(decide(act, Server(), facts)), nullptr);
    }
    const Decision active = decide(act, Client(), {.account = Account(), .guest_access = ""});
    EXPECT_TRUE(refusal_of(active) == nullptr || refusal_of(active)->rule == "administration");
  }
}

}  // namespace
}  // namespace polder::policy
