// `polder policy test`: what the policy says of an act.
#pragma once

#include <string>
#include <vector>

namespace polder::server {

// The act, and facts about it, in words; prints what each rule says and the decision. Without
// words, or with ones that are not known: prints which there are. An exit status: 0 permitted, 1
// refused, 2 not understood.
int run_policy_test(const std::vector<std::string>& words);

}  // namespace polder::server
