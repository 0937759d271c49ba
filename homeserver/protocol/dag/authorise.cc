#include "homeserver/protocol/dag/authorise.h"

#include <algorithm>
#include <string>

#include "homeserver/protocol/dag/authorise_member.h"
#include "homeserver/protocol/dag/authorise_power_levels.h"
#include "homeserver/protocol/dag/power_levels.h"
#include "homeserver/protocol/dag/rules.h"

namespace polder::dag {

using events::Event;
using events::RoomVersionRules;

namespace {

// Rule 1, https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules
//   1. No prev_events.
//   2. The room id's domain is the sender's; from version 12 on, there is no room id.
//   3. room_version, if present, is known.
//   4. Before version 11 there is a creator; from version 12 on additional_creators, if present,
//      is an array of user ids.
//   5. Otherwise allow.
Verdict authorise_create(const Event& event) {
  const RoomVersionRules& rules = event.rules();
  auto refuse_create = [](int step, std::string_view why) {
    return refuse(Rule::kCreate, {step}, why);
  };
  if (!event.prev_events().empty()) return refuse_create(1, "a create event has prev_events");
  if (rules.room_id_is_create_hash) {
    if (event.object().contains("room_id")) return refuse_create(2, "a create event has a room id");
  } else if (event.room_id().server() != std::optional(event.sender().server())) {
    return refuse_create(2, "the room id is not of the sender's server");
  }
  if (const json::Value* version = event.content().find("room_version")) {
    const std::string* id = version->as_string();
    if (!id || !events::find_room_version(*id))
      return refuse_create(3, "the room version is not known");
  }
  if (!rules.creator_is_sender && !event.content().contains("creator"))
    return refuse_create(4, "no creator");
  const json::Value* others =
      rules.privileged_creators ? event.content().find("additional_creators") : nullptr;
  if (!others) return {};
  const json::Array* list = others->as_array();
  if (!list || !std::all_of(list->begin(), list->end(), [](const json::Value& user) {
        return user.as_string() && UserId::parse(*user.as_string()).ok();
      }))
    return refuse_create(4, "additional_creators are no list of user ids");
  return {};
}

// Rule 4 of versions 1 to 5: (1.) there is a state key, (2.) which is the sender's domain; (3.)
// allow.
Verdict authorise_aliases(const Event& event) {
  if (!event.state_key()) return refuse(Rule::kAliases, {1}, "no state key");
  if (*event.state_key() != event.sender().server())
    return refuse(Rule::kAliases, {2}, "aliases of another server");
  return {};
}

// Rule 11 of versions 1 and 2: (1.) allow with at least the redact level, or (2.) if both events
// have ids of one server; (3.) otherwise refuse.
Verdict authorise_redaction(const Event& event, const PowerLevels& levels) {
  if (levels.user(event.sender().view()) >= levels.redact()) return {};
  const std::optional<EventId> redacted = event.redacts();
  const auto server = event.id().server();
  if (redacted && server && redacted->server() == server) return {};
  return refuse(Rule::kRedaction, {3}, "the sender has not the level to redact");
}

// The rules after the one on members, https://spec.matrix.org/v1.19/rooms/v11/#authorisation-rules
//   5. The sender must be joined.
//   6. Third-party invites need the invite level and nothing else.
//   7. The sender needs the event type's level.
//   8. State keys that start with @ are the sender's own.
//   9. Power levels: authorise_power_levels().
//   10. Otherwise allow (versions 1 and 2 after the rule on redactions).
Verdict authorise_other(const Event& event, const Event& create, const AuthState& state) {
  const RoomVersionRules& rules = event.rules();
  POLDER_TRY(auto membership, membership_in(state, event.sender().view()));
  if (membership != "join") return refuse(Rule::kSenderJoined, {}, "the sender is not joined");
  POLDER_TRY(const Event* levels_event, state.find({"m.room.power_levels", ""}));
  const PowerLevels levels(create, levels_event);
  const PowerLevel power = levels.user(event.sender().view());
  if (event.is("m.room.third_party_invite")) {
    if (power >= levels.invite()) return {};
    return refuse(Rule::kThirdPartyInvite, {1}, "the sender has not the level to invite");
  }
  if (levels.required_for(event.type(), event.is_state()) > power)
    return refuse(Rule::kRequiredLevel, {}, "the sender has not the event type's level");
  if (event.state_key() && event.state_key()->starts_with('@') &&
      *event.state_key() != event.sender().view())
    return refuse(Rule::kUserKey, {}, "the state key is another user's id");
  if (event.is("m.room.power_levels")) return authorise_power_levels(event, create, levels);
  if (event.is("m.room.redaction") && rules.redaction_by_event_id_domain)
    return authorise_redaction(event, levels);
  return {};
}

}  // namespace

EventListState::EventListState(std::span<const events::EventPtr> events)
    : events_(events.begin(), events.end()) {}

Result<const Event*> EventListState::find(events::StateKeyView key) const {
  for (const events::EventPtr& event : events_) {
    if (event->is_state(key.type, key.key)) return event.get();
  }
  return static_cast<const Event*>(nullptr);
}

// https://spec.matrix.org/v1.19/rooms/v11/#authorisation-rules
//   1. Create events: authorise_create().
//   2. The event's auth events: check_auth_events(); here only that the room has been created.
//   3. Rooms that do not federate take events from the creator's server only.
//   4. Members: authorise_member() (before version 6, after the rule on aliases).
//   5. and later: authorise_other().
Verdict judge(const Event& event, const AuthState& state) {
  const RoomVersionRules& rules = event.rules();
  if (event.is("m.room.create")) return authorise_create(event);
  POLDER_TRY(const Event* create, state.find({"m.room.create", ""}));
  if (!create) {
    return rules.room_id_is_create_hash ? refuse(Rule::kRoomId, {}, "no create event")
                                        : refuse(Rule::kAuthEvents, {4}, "no create event");
  }
  if (create->content().find_bool("m.federate") == std::optional(false) &&
      create->sender().server() != event.sender().server())
    return refuse(Rule::kFederate, {}, "the room does not federate");
  if (event.is("m.room.aliases") && rules.aliases_special_case) return authorise_aliases(event);
  if (event.is("m.room.member")) return authorise_member(event, *create, state);
  return authorise_other(event, *create, state);
}

Status authorise(const Event& event, const AuthState& state) {
  return describe(judge(event, state), event.rules());
}

}  // namespace polder::dag
