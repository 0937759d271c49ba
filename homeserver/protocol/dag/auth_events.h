// Which events authorise an event, and the checks on the list that it names.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "homeserver/protocol/dag/source.h"
#include "homeserver/protocol/events/event.h"

namespace polder::dag {

// The state keys whose events an event names as its auth events: those of them that the room's
// state has (https://spec.matrix.org/v1.19/server-server-api/#auth-events-selection). No key twice;
// at most kMaxAuthEvents.
std::vector<StateKey> auth_types_for(const events::Event& event);
// The same for an event that is yet to be made.
std::vector<StateKey> auth_types_for(const events::RoomVersionRules& rules, std::string_view type,
                                     std::string_view sender,
                                     std::optional<std::string_view> state_key,
                                     const json::Object& content);

// An event that another names, and whether it was rejected.
struct NamedEvent {
  events::EventPtr event;
  bool rejected = false;
};

// The authorisation rule on an event's own `auth_events` (rule 2; rules 2 and 3 from version 12
// on). `auth_events` are all of them; `create` is the event that the room id names, if it is known,
// and is looked at only where the version derives room ids from it. kForbidden names the rule that
// refuses. Create events have no such rule.
Status check_auth_events(const events::Event& event, std::span<const NamedEvent> auth_events,
                         const NamedEvent& create);

// The same with the events looked up; kNotFound if one of them is not known.
Status check_auth_events(const events::Event& event, Source& source);

}  // namespace polder::dag
