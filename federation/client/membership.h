// Membership events that another server helps to make: joins, leaves and knocks of rooms that this
// server is not in.
// https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
// Pure; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "homeserver/base/crypto/keys.h"
#include "homeserver/base/json/value.h"
#include "homeserver/base/values/environment.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/protocol/events/event.h"

namespace polder::client {

// What is taken from another server's template: its place in the room's graph, and nothing else.
struct MembershipTemplate {
  const events::RoomVersionRules* rules = nullptr;
  std::vector<EventId> prev_events;
  std::vector<EventId> auth_events;
  int64_t depth = 1;
  std::optional<UserId> authorised_by;  // join_authorised_via_users_server
};

// Whose membership of which room a template was asked for.
struct TemplateRequest {
  RoomId room;
  UserId user;
  std::string_view membership;  // "join", "leave" or "knock"
};
// From the answer to make_join, make_leave or make_knock. kUnsupported if the room's version is not
// known here; kInvalid, also for a template of anything else than what was asked for.
Result<MembershipTemplate> read_template(const json::Object& answer,
                                         const TemplateRequest& requested);

// The event that a local user sends, built anew from this server's own fields, hashed and signed: a
// template is never signed, as it could be any event at all.
struct MembershipEvent {
  RoomId room;
  UserId user;
  std::string membership;  // "join", "leave" or "knock"
  json::Object content{};  // displayname, avatar_url, reason
  int64_t origin_server_ts = 0;
};
Result<events::EventPtr> build_membership(const MembershipTemplate& place, MembershipEvent event,
                                          const ServerName& own_name, const crypto::SigningKey& key,
                                          Random& random);

}  // namespace polder::client
