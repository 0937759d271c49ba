#include "federation/server/acls.h"

namespace polder::federation_server {
namespace {

constexpr size_t kRoomsMax = 2000;
constexpr size_t kVerdictsMax = 2000;  // of one room

}  // namespace

Result<bool> Acls::allows(const rooms::RoomReader& room, const ServerName& server) {
  const stores::StateRoot root = room.head().record.state;
  POLDER_TRY(const auto number, room.view().state_number(root, "m.room.server_acl", ""));
  // 1. "If there is no m.room.server_acl event in the room state, allow."
  if (!number) return true;
  std::shared_ptr<const dag::ServerAcl> acl;
  {
    const base::Lock lock(mutex_);
    const auto known = rooms_.find(room.head().number);
    if (known != rooms_.end() && known->second.event == *number) {
      const auto verdict = known->second.verdicts.find(server);
      if (verdict != known->second.verdicts.end()) return verdict->second;
      acl = known->second.acl;
    }
  }
  if (!acl) {
    // A redacted one would keep out every server.
    POLDER_TRY(const auto event, room.as_sent().load(*number));
    acl = std::make_shared<const dag::ServerAcl>(event.event->content());
  }
  const bool allowed = acl->allows(server);
  const base::Lock lock(mutex_);
  if (rooms_.size() >= kRoomsMax && !rooms_.contains(room.head().number)) rooms_.clear();
  Entry& entry = rooms_[room.head().number];
  if (entry.event != *number) entry = Entry{*number, acl, {}};
  if (entry.verdicts.size() >= kVerdictsMax) entry.verdicts.clear();
  entry.verdicts[server] = allowed;
  return allowed;
}

}  // namespace polder::federation_server
