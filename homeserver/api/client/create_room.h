// From the body of createRoom to the events that make the room.
#pragma once

#include <optional>
#include <vector>

#include "homeserver/base/json/value.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/protocol/events/room_version.h"
#include "homeserver/rooms/write/local_event.h"

namespace polder::client_api {

struct RoomPlan {
  const events::RoomVersionRules* rules = nullptr;
  std::vector<rooms::LocalEvent> events;
  std::optional<RoomAlias> alias;
  // Of users of other servers, whose servers must sign first; without `membership`.
  std::vector<UserId> remote_invites;
  json::Object invite_content;
};

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom: pure. `join` is
// the creator's membership. Errors are those of the specification.
Result<RoomPlan> plan_room(const json::Object& body, const UserId& creator, json::Object join,
                           const ServerName& own_name, const std::string& default_version);

}  // namespace polder::client_api
