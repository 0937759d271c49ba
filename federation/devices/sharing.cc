#include "federation/devices/sharing.h"

#include "storage/stores/room_rows.h"

namespace polder::devices {
namespace {

using stores::Membership;

Result<std::vector<stores::RoomNumber>> joined_rooms(const kv::Snapshot& snapshot,
                                                     stores::UserNumber user) {
  POLDER_TRY(const auto rows, stores::read_rooms_of(snapshot, user));
  std::vector<stores::RoomNumber> joined;
  for (const auto& [room, row] : rows) {
    if (row.membership == Membership::kJoin) joined.push_back(room);
  }
  return joined;
}

Result<bool> in_room_since(const kv::Snapshot& snapshot, stores::UserNumber user,
                           stores::RoomNumber room, kv::Position position) {
  POLDER_TRY(const auto row, stores::read_membership(snapshot, user, room));
  return row && row->membership == Membership::kJoin && row->position <= position;
}

}  // namespace

Result<bool> shares_room_with(const kv::Snapshot& snapshot, stores::UserNumber user,
                              stores::ServerNumber server) {
  POLDER_TRY(const auto rooms, joined_rooms(snapshot, user));
  for (const stores::RoomNumber room : rooms) {
    POLDER_TRY(const bool there, stores::is_server_in_room(snapshot, room, server));
    if (there) return true;
  }
  return false;
}

Result<std::set<ServerName>> servers_of(const kv::Snapshot& snapshot, const stores::Names& names,
                                        stores::UserNumber user) {
  POLDER_TRY(const auto rooms, joined_rooms(snapshot, user));
  std::set<stores::ServerNumber> numbers;
  for (const stores::RoomNumber room : rooms) {
    POLDER_TRY(const auto counts, stores::read_server_counts(snapshot, room));
    for (const auto& [server, members] : counts)
      numbers.insert(server);
  }
  std::set<ServerName> servers;
  for (const stores::ServerNumber number : numbers) {
    POLDER_TRY(std::string name, names.name(stores::NameKind::kServer, number));
    servers.insert(ServerName::trusted(std::move(name)));
  }
  return servers;
}

Result<std::optional<stores::RoomNumber>> room_of_both(const kv::Snapshot& snapshot,
                                                       stores::UserNumber a, stores::UserNumber b) {
  POLDER_TRY(const auto rooms, joined_rooms(snapshot, b));
  for (const stores::RoomNumber room : rooms) {
    POLDER_TRY(const auto row, stores::read_membership(snapshot, a, room));
    if (row && row->membership == Membership::kJoin) return std::optional(room);
  }
  return std::optional<stores::RoomNumber>();
}

Result<bool> is_current(const kv::Snapshot& snapshot, stores::UserNumber user,
                        const stores::RemoteDeviceList& list) {
  POLDER_TRY(const bool user_there, in_room_since(snapshot, user, list.room, list.as_of));
  if (!user_there) return false;
  return in_room_since(snapshot, list.witness, list.room, list.as_of);
}

}  // namespace polder::devices
