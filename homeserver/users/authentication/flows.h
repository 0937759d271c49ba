// Flows of stages, as values: https://spec.matrix.org/v1.19/client-server-api/#overview-1. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/json/value.h"

namespace polder::users {

// https://spec.matrix.org/v1.19/client-server-api/#authentication-types
inline constexpr const char* kPasswordStage = "m.login.password";
inline constexpr const char* kDummyStage = "m.login.dummy";
inline constexpr const char* kRegistrationTokenStage = "m.login.registration_token";

using Stages = std::vector<std::string>;  // in the order in which they are completed
using Flows = std::vector<Stages>;        // of which a client follows one

// "The flow's stages must be completed in order": whether the stage comes next in one of the flows
// that begin with those that were completed.
bool may_follow(const Flows& flows, const Stages& completed, std::string_view stage);
// "When all stages in a flow are complete, authentication is complete".
bool is_complete(const Flows& flows, const Stages& completed);
// As clients are told of them.
json::Array flows_json(const Flows& flows);

}  // namespace polder::users
