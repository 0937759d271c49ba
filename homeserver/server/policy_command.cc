#include "homeserver/server/policy_command.h"

#include <cstdio>

#include "homeserver/protocol/policy/explain.h"

namespace polder::server {

int run_policy_test(const std::vector<std::string>& words) {
  const auto question = policy::parse_question(words);
  if (!question.ok()) {
    std::fprintf(stderr, "polder: %s\n%s", question.error().message.c_str(),
                 policy::vocabulary().c_str());
    return 2;
  }
  std::fputs(policy::explain(*question).c_str(), stdout);
  const policy::Decision decision = policy::decide(question->act, question->actor, question->facts);
  return policy::refusal_of(decision) == nullptr ? 0 : 1;
}

}  // namespace polder::server
