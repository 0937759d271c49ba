#include "homeserver/rooms/model/source.h"

#include <algorithm>

namespace polder::rooms {
namespace {

constexpr size_t kServersAsked = 3;

}  // namespace

Result<std::optional<RoomNumber>> RoomSource::find(const RoomId& room) const {
  return names.find(stores::NameKind::kRoom, room.view());
}

Result<RoomHeadPtr> RoomSource::head(const RoomId& room) const {
  POLDER_TRY(const auto number, find(room));
  return number ? heads.find(*number) : nullptr;
}

Result<std::vector<ServerName>> servers_to_ask(const RoomSource& rooms, const RoomHead& head) {
  std::vector<std::pair<uint64_t, stores::ServerNumber>> by_members;
  for (const auto& [server, members] : *head.servers)
    by_members.emplace_back(members, server);
  std::ranges::sort(by_members, std::greater());
  std::vector<ServerName> servers;
  for (const auto& [members, number] : by_members) {
    POLDER_TRY(std::string name, rooms.names.name(stores::NameKind::kServer, number));
    if (name == rooms.own_name.view()) continue;
    servers.push_back(ServerName::trusted(std::move(name)));
    if (servers.size() == kServersAsked) break;
  }
  return servers;
}

}  // namespace polder::rooms
