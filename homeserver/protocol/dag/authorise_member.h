// The authorisation rule on m.room.member, a part of authorise().
#pragma once

#include <string_view>

#include "homeserver/protocol/dag/authorise.h"
#include "homeserver/protocol/events/event.h"

namespace polder::dag {

// The rule on m.room.member (4; 5 in versions 1 to 5 and from 12 on).
Verdict authorise_member(const events::Event& event, const events::Event& create,
                         const AuthState& state);

// A user's membership in the state: "leave" if it has none.
Result<std::string_view> membership_in(const AuthState& state, std::string_view user_id);

}  // namespace polder::dag
