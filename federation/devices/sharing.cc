#include "federation/devices/sharing.h"

#include "storage/stores/rooms/room_rows.h"

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

// The user's rooms as of an entry into one of them: that one, and those that they were in before.
struct RoomsAround {
  bool still_there = false;
  std::vector<stores::RoomNumber> before;
};
Result<RoomsAround> rooms_around(const kv::Snapshot& snapshot, const stores::RoomEntry& entry) {
  POLDER_TRY(const auto rows, stores::read_rooms_of(snapshot, entry.user));
  RoomsAround rooms;
  for (const auto& [room, row] : rows) {
    if (row.membership != Membership::kJoin) continue;
    if (room == entry.room) {
      rooms.still_there = true;
    } else if (row.position < entry.position) {
      rooms.before.push_back(room);
    }
  }
  return rooms;
}

Status add_servers(const kv::Snapshot& snapshot, const std::vector<stores::RoomNumber>& rooms,
                   std::set<stores::ServerNumber>& servers) {
  for (const stores::RoomNumber room : rooms) {
    POLDER_TRY(const auto counts, stores::read_server_counts(snapshot, room));
    for (const auto& [server, members] : counts)
      servers.insert(server);
  }
  return {};
}

Result<std::set<ServerName>> names_of(const stores::Names& names,
                                      const std::set<stores::ServerNumber>& numbers) {
  std::set<ServerName> servers;
  for (const stores::ServerNumber number : numbers) {
    POLDER_TRY(std::string name, names.name(stores::NameKind::kServer, number));
    servers.insert(ServerName::trusted(std::move(name)));
  }
  return servers;
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
  POLDER_CHECK(add_servers(snapshot, rooms, numbers));
  return names_of(names, numbers);
}

Result<bool> met_by_entering(const kv::Snapshot& snapshot, const stores::RoomEntry& entry,
                             stores::ServerNumber server) {
  POLDER_TRY(const bool there, stores::is_server_in_room(snapshot, entry.room, server));
  if (!there) return false;
  POLDER_TRY(const auto rooms, rooms_around(snapshot, entry));
  for (const stores::RoomNumber room : rooms.before) {
    POLDER_TRY(const bool known, stores::is_server_in_room(snapshot, room, server));
    if (known) return false;
  }
  return rooms.still_there;
}

Result<std::set<ServerName>> servers_met(const kv::Snapshot& snapshot, const stores::Names& names,
                                         const stores::RoomEntry& entry) {
  POLDER_TRY(const auto rooms, rooms_around(snapshot, entry));
  std::set<stores::ServerNumber> met, known;
  if (rooms.still_there) POLDER_CHECK(add_servers(snapshot, {entry.room}, met));
  // Most often there is no other server at all.
  if (met.size() > 1) POLDER_CHECK(add_servers(snapshot, rooms.before, known));
  std::erase_if(met, [&](stores::ServerNumber server) { return known.contains(server); });
  return names_of(names, met);
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
