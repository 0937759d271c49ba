#include "homeserver/server/policy_command.h"

#include <gtest/gtest.h>

namespace polder::server {
namespace {

TEST(PolicyCommand, TheExitStatusIsTheDecision) {
  EXPECT_EQ(run_policy_test({"join", "guest", "guest_access=can_join"}), 0);
  EXPECT_EQ(run_policy_test({"join", "guest", "guest_access=forbidden"}), 1);
  EXPECT_EQ(run_policy_test({"redact", "target=remote", "redact_level"}), 0);
  EXPECT_EQ(run_policy_test({"redact", "target=remote"}), 1);
  EXPECT_EQ(run_policy_test({}), 2);
  EXPECT_EQ(run_policy_test({"join", "what"}), 2);
}

}  // namespace
}  // namespace polder::server
