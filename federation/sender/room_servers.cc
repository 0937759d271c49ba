#include "federation/sender/room_servers.h"

#include "homeserver/base/json/parse.h"
#include "storage/stores/rooms/event_rows.h"
#include "storage/stores/rooms/room_rows.h"

namespace polder::sender {
namespace {

constexpr size_t kRoomsMax = 2000;
constexpr size_t kMembersAtOnce = 500;

std::string membership_of(const json::Object& event) {
  const json::Object* content = event.find_object("content");
  const std::string* membership = content != nullptr ? content->find_string("membership") : nullptr;
  return membership != nullptr ? *membership : std::string();
}

// The server of the user who is joined by a membership event; nothing for other memberships.
std::optional<ServerName> joined_server(std::string_view event_json) {
  const auto event = json::parse_object(event_json);
  if (!event.ok() || membership_of(*event) != "join") return {};
  const std::string* user_id = event->find_string("state_key");
  const auto user = UserId::parse(user_id != nullptr ? *user_id : "");
  if (!user.ok()) return {};
  return ServerName::trusted(std::string(user->server()));
}

}  // namespace

Result<ServerSet> RoomServers::at(const kv::Snapshot& snapshot, stores::RoomNumber room,
                                  stores::StateRoot root) {
  std::optional<Known> near;
  {
    const base::Lock lock(mutex_);
    if (const auto known = rooms_.find(room); known != rooms_.end()) near = known->second;
  }
  if (!near || near->root != root) {
    POLDER_TRY(near, read(snapshot, room, root, near ? &*near : nullptr));
    const base::Lock lock(mutex_);
    if (rooms_.size() >= kRoomsMax) rooms_.clear();
    rooms_.insert_or_assign(room, *near);
  }
  ServerSet servers;
  for (const auto& [server, members] : near->joined) {
    if (members > 0) servers.insert(server);
  }
  return servers;
}

Result<bool> RoomServers::is_only(const kv::Snapshot& snapshot, stores::RoomNumber room,
                                  stores::StateRoot root, const ServerName& server) {
  {
    const base::Lock lock(mutex_);
    const auto known = rooms_.find(room);
    if (known != rooms_.end() && known->second.root == root)
      return known->second.joined.size() == 1 && known->second.joined.contains(server);
  }
  POLDER_TRY(const ServerSet servers, at(snapshot, room, root));
  return servers.size() == 1 && servers.contains(server);
}

Result<bool> RoomServers::is_asked(const kv::Snapshot& snapshot, stores::RoomNumber room,
                                   stores::StateRoot root, std::string_view user) const {
  POLDER_TRY(const auto type, names_.find(stores::NameKind::kType, "m.room.member"));
  POLDER_TRY(const auto key, names_.find(stores::NameKind::kStateKey, user));
  if (!type || !key) return false;
  const stores::StateNodes nodes(room, snapshot, nodes_);
  POLDER_TRY(const auto number,
             stores::state_get(nodes, root, {static_cast<uint32_t>(*type), *key}));
  if (!number) return false;
  POLDER_TRY(const auto text, stores::read_event_json(snapshot, {room, *number}));
  if (!text) return fail(ErrorCode::kCorrupt, "a membership event is missing");
  const auto event = json::parse_object(*text);
  if (!event.ok()) return fail(ErrorCode::kCorrupt, event.error().message);
  const std::string membership = membership_of(*event);
  return membership == "invite" || membership == "knock";
}

Result<RoomServers::Known> RoomServers::read(const kv::Snapshot& snapshot, stores::RoomNumber room,
                                             stores::StateRoot root, const Known* near) const {
  POLDER_TRY(const auto record, stores::read_room(snapshot, room));
  if (record && record->state == root) return read_current(snapshot, room, root);
  POLDER_TRY(const auto type, names_.find(stores::NameKind::kType, "m.room.member"));
  Known known;
  if (near != nullptr) known = *near;
  const stores::StateRoot from = known.root;
  known.root = root;
  if (!type) return known;
  std::vector<stores::EventNumber> gone;
  std::vector<stores::EventNumber> come;
  const stores::StateNodes nodes(room, snapshot, nodes_);
  if (near != nullptr) {
    POLDER_TRY(const auto difference, stores::state_diff(nodes, from, root));
    for (const stores::StateDifference& change : difference) {
      if (change.key.type != *type) continue;
      if (change.before) gone.push_back(*change.before);
      if (change.after) come.push_back(*change.after);
    }
  } else {
    POLDER_CHECK(stores::state_for_each(nodes, root, static_cast<uint32_t>(*type),
                                        [&](const stores::StateEntry& entry) {
                                          come.push_back(entry.event);
                                          return true;
                                        }));
  }
  POLDER_CHECK(apply(snapshot, room, gone, -1, known));
  POLDER_CHECK(apply(snapshot, room, come, +1, known));
  return known;
}

// The room's own count, which the engine keeps for its current state.
Result<RoomServers::Known> RoomServers::read_current(const kv::Snapshot& snapshot,
                                                     stores::RoomNumber room,
                                                     stores::StateRoot root) const {
  POLDER_TRY(const auto counts, stores::read_server_counts(snapshot, room));
  Known known;
  known.root = root;
  for (const auto& [number, members] : counts) {
    POLDER_TRY(std::string name, names_.name(stores::NameKind::kServer, number));
    known.joined[ServerName::trusted(std::move(name))] = static_cast<int64_t>(members);
  }
  return known;
}

Status RoomServers::apply(const kv::Snapshot& snapshot, stores::RoomNumber room,
                          const std::vector<stores::EventNumber>& members, int64_t change,
                          Known& known) const {
  for (size_t i = 0; i < members.size(); i += kMembersAtOnce) {
    const size_t count = std::min(kMembersAtOnce, members.size() - i);
    POLDER_TRY(const auto events,
               stores::read_event_jsons(snapshot, room, std::span(members).subspan(i, count)));
    for (const auto& event : events) {
      if (!event) return fail(ErrorCode::kCorrupt, "a membership event is missing");
      const auto server = joined_server(*event);
      if (!server) continue;
      int64_t& joined = known.joined[*server];
      joined += change;
      if (joined == 0) known.joined.erase(*server);
    }
  }
  return {};
}

}  // namespace polder::sender
