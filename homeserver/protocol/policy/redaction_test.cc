#include <gtest/gtest.h>

#include <array>

#include "homeserver/protocol/policy/explain.h"

namespace polder::policy {
namespace {

struct Case {
  std::vector<std::string> words;
  std::string_view outcome;  // the errcode of the refusal, or the privilege, or nothing
};

std::string outcome_of(const Case& c) {
  const auto question = parse_question(c.words);
  EXPECT_TRUE(question.ok()) << question.error().message;
  const Decision decision = decide(question->act, question->actor, question->facts);
  const Refusal* refusal = refusal_of(decision);
  return std::string(refusal != nullptr ? refusal->errcode.view() : privilege_of(decision));
}

TEST(RedactionRule, OthersEventsNeedTheLevel) {
  const std::array cases = {
      Case{{"redact", "target=own"}, ""},
      Case{{"redact", "target=own", "redact_level"}, ""},
      Case{{"redact", "target=local"}, "M_FORBIDDEN"},
      Case{{"redact", "target=remote"}, "M_FORBIDDEN"},
      Case{{"redact", "target=local", "redact_level"}, "redact_level"},
      Case{{"redact", "target=remote", "redact_level"}, "redact_level"},
      Case{{"redact", "target=unknown"}, "M_NOT_FOUND"},
      Case{{"redact", "target=unknown", "redact_level"}, "redact_level"},
      Case{{"redact", "target=elsewhere"}, "M_INVALID_PARAM"},
      Case{{"redact", "target=elsewhere", "redact_level"}, "M_INVALID_PARAM"},
      Case{{"redact", "target=create", "redact_level"}, "M_FORBIDDEN"},
      Case{{"redact", "target=local", "admin"}, "administrator"},
      Case{{"redact", "target=remote", "admin"}, "M_FORBIDDEN"},
      Case{{"redact", "target=local", "by=administrator"}, "administrator"},
      Case{{"redact", "target=local", "by=application_service"}, "M_FORBIDDEN"},
  };
  for (const Case& c : cases) {
    std::string all;
    for (const std::string& word : c.words)
      all += word + " ";
    EXPECT_EQ(outcome_of(c), c.outcome) << all;
  }
}

}  // namespace
}  // namespace polder::policy
