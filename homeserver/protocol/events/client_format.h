// Events as clients see them (https://spec.matrix.org/v1.19/client-server-api/#room-event-format).
#pragma once

#include <string>
#include <string_view>

#include "homeserver/protocol/events/event.h"

namespace polder::events {

// The *head* of an event (docs/architecture.md, decision 9): everything that clients get of it but
// room_id and unsigned, as the members of a JSON object without the closing brace; a reader's tail
// follows. If redacted, of the redacted event.
std::string client_head(const Event& event, bool redacted);

// Stripped state: {content, sender, state_key, type}
// (https://spec.matrix.org/v1.19/client-server-api/#stripped-state).
json::Object stripped_state(const Event& event);
// The entry for a type and state key in a list of stripped state, wherever that comes from; null if
// none has the form of one.
const json::Object* find_stripped(const json::Array& list, std::string_view type,
                                  std::string_view state_key);

}  // namespace polder::events
