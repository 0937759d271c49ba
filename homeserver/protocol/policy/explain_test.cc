#include "homeserver/protocol/policy/explain.h"

#include <gtest/gtest.h>

namespace polder::policy {
namespace {

TEST(Explain, SaysWhatEachRuleFindsAndWhichOneRefuses) {
  const std::vector<std::string> words = {"join", "guest", "guest_access=forbidden"};
  const auto question = parse_question(words);
  ASSERT_TRUE(question.ok());
  const std::string told = explain(*question);
  for (const char* part :
       {"accounts says nothing", "guests refuses: M_GUEST_ACCESS_FORBIDDEN", "refused by guests\n"})
    EXPECT_NE(told.find(part), std::string::npos) << told;
}

TEST(Explain, WordsThatAreNotKnownAreNamed) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{}, {"dance"}, {"join", "drunk"}, {"join", "guest=1"}}) {
    const auto question = parse_question(words);
    ASSERT_FALSE(question.ok());
    if (!words.empty()) EXPECT_NE(question.error().message.find(words.back()), std::string::npos);
  }
  EXPECT_NE(vocabulary().find("guest_access="), std::string::npos);
}

}  // namespace
}  // namespace polder::policy
