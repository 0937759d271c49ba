// Checks of what other servers answer to a join or an invite. Pure.
#pragma once

#include <string>

#include "homeserver/protocol/events/event.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::entry {

// Our join as the resident server gave it back: it may add signatures, and nothing else.
Result<events::EventPtr> signed_join(const events::Event& sent, const std::string& answered);

// Our invite with the invited server's signatures from its answer, and nothing else of it.
Result<events::EventPtr> signed_invite(const events::Event& sent, const events::Event& answered,
                                       const ServerName& invited);

// Whether a verified state can be that of the room before the join: one create event, of the room's
// version and id, that the rules allow; no state key twice; the join's auth events among it, and
// the join allowed by them. Needs every event to be of the room. kForbidden if the room refuses the
// join, else kInvalid.
Status check_joined_state(const events::Event& join, const rooms::ImportedState& state);

}  // namespace polder::entry
