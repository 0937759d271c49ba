#include "homeserver/protocol/dag/auth_events.h"

#include <algorithm>

#include "homeserver/protocol/dag/power_levels.h"
#include "homeserver/protocol/dag/rules.h"

namespace polder::dag {

using events::Event;
using events::RoomVersionRules;

namespace {

void add(std::vector<StateKey>& keys, std::string_view type, std::string_view key) {
  bool present = std::any_of(keys.begin(), keys.end(), [&](const StateKey& other) {
    return other.type == type && other.key == key;
  });
  if (!present) keys.push_back({std::string(type), std::string(key)});
}

void add_for_member(std::vector<StateKey>& keys, const RoomVersionRules& rules,
                    std::string_view target, const json::Object& content) {
  add(keys, "m.room.member", target);
  const std::string* membership = content.find_string("membership");
  if (!membership) return;
  if (*membership == "join" || *membership == "invite" ||
      (*membership == "knock" && rules.knocking))
    add(keys, "m.room.join_rules", "");
  if (*membership == "invite") {
    const json::Value* token = json::at(content, {"third_party_invite", "signed", "token"});
    if (token && token->as_string()) add(keys, "m.room.third_party_invite", *token->as_string());
  }
  if (*membership == "join" && rules.restricted_joins) {
    if (const std::string* user = content.find_string("join_authorised_via_users_server"))
      add(keys, "m.room.member", *user);
  }
}

Verdict check_room_id(const Event& event, const NamedEvent& create) {
  if (create.event && !create.rejected && create.event->is("m.room.create") &&
      create.event->id() == create_event_id(event.room_id()))
    return {};
  return refuse(Rule::kRoomId, {}, "the room id names no accepted create event");
}

// https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules, rules 2 and 3 (before version 12:
// rule 2, whose step 4 version 12 does not have).
//   2.   From version 12 on: the room id must name an accepted create event.
//   3.1. No two auth events of one type and state key.
//   3.2. None that the auth events selection does not select.
//   3.3. None that was rejected.
//   2.4. Before version 12: one of them is the create event.
//   3.4. All in the event's own room (2.5 before version 12; MSC4307).
Verdict judge_auth_events(const Event& event, std::span<const NamedEvent> auth_events,
                          const NamedEvent& create) {
  const RoomVersionRules& rules = event.rules();
  if (event.is("m.room.create")) return {};
  if (rules.room_id_is_create_hash) POLDER_CHECK(check_room_id(event, create));

  const std::vector<StateKey> expected = auth_types_for(event);
  std::vector<bool> seen(expected.size());
  bool has_create = false;
  for (const NamedEvent& named : auth_events) {
    const Event& auth = *named.event;
    auto position = std::find_if(expected.begin(), expected.end(), [&](const StateKey& key) {
      return auth.is_state(key.type, key.key);
    });
    if (position == expected.end())
      return refuse(Rule::kAuthEvents, {2}, "an auth event is of no use to the event");
    auto index = static_cast<size_t>(position - expected.begin());
    if (seen[index])
      return refuse(Rule::kAuthEvents, {1}, "two auth events of one type and state key");
    seen[index] = true;
    if (named.rejected) return refuse(Rule::kAuthEvents, {3}, "an auth event was rejected");
    if (auth.room_id() != event.room_id())
      return refuse(Rule::kAuthEvents, {rules.room_id_is_create_hash ? 4 : 5},
                    "an auth event is of another room");
    has_create = has_create || auth.is("m.room.create");
  }
  if (!has_create && !rules.room_id_is_create_hash)
    return refuse(Rule::kAuthEvents, {4}, "no create event among the auth events");
  return {};
}

}  // namespace

// https://spec.matrix.org/v1.19/server-server-api/#auth-events-selection
//   1. m.room.create, before version 12;
//   2. m.room.power_levels;
//   3. the sender's m.room.member;
//   4. for m.room.member: the target's; for joins, invites and knocks m.room.join_rules; for
//      third-party invites the invite with their token; for joins that a user authorised, the
//      m.room.member of that user.
std::vector<StateKey> auth_types_for(const RoomVersionRules& rules, std::string_view type,
                                     std::string_view sender,
                                     std::optional<std::string_view> state_key,
                                     const json::Object& content) {
  std::vector<StateKey> keys;
  if (type == "m.room.create") return keys;
  if (!rules.room_id_is_create_hash) add(keys, "m.room.create", "");
  add(keys, "m.room.power_levels", "");
  add(keys, "m.room.member", sender);
  if (type == "m.room.member" && state_key) add_for_member(keys, rules, *state_key, content);
  return keys;
}

std::vector<StateKey> auth_types_for(const Event& event) {
  std::optional<std::string_view> state_key;
  if (event.state_key()) state_key = *event.state_key();
  return auth_types_for(event.rules(), event.type(), event.sender().view(), state_key,
                        event.content());
}

Status check_auth_events(const Event& event, std::span<const NamedEvent> auth_events,
                         const NamedEvent& create) {
  return describe(judge_auth_events(event, auth_events, create), event.rules());
}

Status check_auth_events(const Event& event, Source& source) {
  auto look_up = [&source](const EventId& id) -> Result<NamedEvent> {
    NamedEvent named;
    POLDER_TRY(auto number, source.number_of(id));
    if (!number) return named;
    POLDER_TRY(named.event, source.event(*number));
    POLDER_TRY(named.rejected, source.is_rejected(*number));
    return named;
  };
  NamedEvent create;
  if (event.rules().room_id_is_create_hash && !event.is("m.room.create")) {
    POLDER_TRY(create, look_up(create_event_id(event.room_id())));
    POLDER_CHECK(describe(check_room_id(event, create), event.rules()));
  }
  std::vector<NamedEvent> auth_events;
  for (const EventId& id : event.auth_events()) {
    POLDER_TRY(NamedEvent named, look_up(id));
    if (!named.event) return fail(ErrorCode::kNotFound, "an auth event is not known");
    auth_events.push_back(std::move(named));
  }
  return check_auth_events(event, auth_events, create);
}

}  // namespace polder::dag
