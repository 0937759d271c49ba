#include "federation/devices/room_entries.h"

namespace polder::devices {

bool RoomEntries::enters(const rooms::StateChange& change) const {
  if (change.type != "m.room.member" || !change.after || change.after->membership() != "join")
    return false;
  if (change.before && change.before->membership() == "join") return false;
  const auto user = UserId::parse(change.key);
  return user.ok() && user->server() == parts_.own_name.view();
}

Status RoomEntries::contribute(const rooms::StoredEvent& event,
                               const std::vector<rooms::StateChange>& changes, kv::Batch& batch) {
  for (const rooms::StateChange& change : changes) {
    if (!enters(change)) continue;
    POLDER_TRY(const auto user, parts_.names.find(stores::NameKind::kUser, change.key));
    if (!user) return fail(ErrorCode::kInternal, "a member without number");
    stores::put_room_entry(batch, *event.slot, *user, event.place.room);
  }
  return {};
}

}  // namespace polder::devices
