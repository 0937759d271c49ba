// A decision of the policy, asked for in words and told in words: for administrators who want to
// know what the rules say, and for tests.
#pragma once

#include <span>
#include <string>

#include "homeserver/protocol/policy/decide.h"

namespace polder::policy {

struct Question {
  Act act;
  Actor actor;
  Facts facts;
};

// The first word is the act's point; the others are facts, "guest", or "name=value". kInvalid names
// a word that is not known. Of who acts nothing is so that is not said.
Result<Question> parse_question(std::span<const std::string> words);
// Every word that parse_question() knows, with what it says; one a line.
std::string vocabulary();

// One line for each rule, and one for the decision.
std::string explain(const Question& question);

}  // namespace polder::policy
