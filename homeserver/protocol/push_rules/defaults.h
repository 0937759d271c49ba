// The server-default rules.
#pragma once

#include <string_view>

namespace polder::push_rules {

// JSON: kind -> rules in their order.
// https://spec.matrix.org/v1.19/client-server-api/#predefined-rules
extern const std::string_view kDefaultRules;

inline constexpr std::string_view kMasterRule = ".m.rule.master";

}  // namespace polder::push_rules
