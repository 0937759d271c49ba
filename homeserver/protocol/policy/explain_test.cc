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

// For each of the points outside of rooms.
TEST(Explain, PointsOutsideOfRoomsAreExplained) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"register", "registration=closed"}, "refused by registration\n"},
      {{"register", "by=administrator", "registration=closed"}, "permitted\n"},
      {{"login", "deactivated"}, "refused by accounts\n"},
      {{"login"}, "permitted\n"},
      {{"download", "guest"}, "permitted\n"},
      {{"download", "deactivated"}, "refused by accounts\n"},
      {{"upload", "guest"}, "refused by guests\n"},
      {{"directory", "guest"}, "refused by guests\n"},
      {{"directory"}, "permitted\n"},
      {{"federate_in", "by=server", "federation=off"}, "refused by federation\n"},
      {{"federate_out", "by=server", "server=own"}, "refused by federation\n"},
      {{"federate_out", "by=server"}, "permitted\n"},
  };
  for (const auto& [words, end] : cases) {
    const auto question = parse_question(words);
    ASSERT_TRUE(question.ok()) << words.front();
    EXPECT_TRUE(explain(*question).ends_with(end)) << words.front() << "\n" << explain(*question);
  }
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
