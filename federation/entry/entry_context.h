// What this server knows of a user and a room before it asks others. Synchronous; on the pool.
#pragma once

#include <optional>
#include <vector>

#include "homeserver/rooms/model/source.h"
#include "homeserver/rooms/read/restricted.h"

namespace polder::entry {

struct EntryContext {
  bool followed = false;  // this server is in the room
  bool guest = false;     // the user is one
  stores::Membership membership = stores::Membership::kNone;
  rooms::RestrictedAnswer restricted;  // if followed: of a join
  // Of the room, if known.
  const events::RoomVersionRules* rules = nullptr;
  // That are, or once were, in the room, the most promising first: who invited, the room id's, who
  // the invite's stripped state or the room's own tells of. At most kKnownServersMax; no own name.
  std::vector<ServerName> servers;
  std::optional<ServerName> inviter;  // of them, if the user is invited
};
inline constexpr size_t kKnownServersMax = 6;

Result<EntryContext> find_context(const rooms::RoomSource& rooms, const UserId& user,
                                  const RoomId& room);

}  // namespace polder::entry
