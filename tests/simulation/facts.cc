#include "tests/simulation/facts.h"

#include <algorithm>
#include <iterator>

#include "homeserver/rooms/read/reader.h"

namespace polder::simulation {
namespace {

std::string server_of(const std::string& user) {
  return user.substr(user.find(':') + 1);
}

// What cannot be read is no finding of an oracle but the end of the run.
template <class T>
T must(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().message);
  return *std::move(result);
}
void must(const Status& status) {
  if (!status.ok()) throw std::runtime_error(status.error().message);
}

void add_servers(const rooms::RoomReader& reader, stores::StateRoot root,
                 std::set<std::string>& servers) {
  must(reader.for_each_state(root, "m.room.member", [&](rooms::EventNumber, const auto& held) {
    if (held.event->membership() == "join") servers.insert(server_of(*held.event->state_key()));
  }));
}

RoomFacts read_room(server::Homeserver& homeserver, const RoomId& id, const std::string& own_name) {
  const auto head = must(homeserver.rooms().source().head(id));
  if (!head) return {};  // known by invites only
  const rooms::RoomReader reader(homeserver.rooms().source(), head);
  RoomFacts facts;
  facts.followed = head->record.local_joined;
  must(reader.for_each_state(
      head->record.state, std::nullopt, [&](rooms::EventNumber, const rooms::HeldEvent& held) {
        const events::Event& event = *held.event;
        facts.state[event.type() + "|" + *event.state_key()] = event.id().str();
        if (event.type() == "m.room.member") facts.members[*event.state_key()] = event.membership();
      }));
  for (const auto number : head->record.extremities)
    facts.extremities.insert(must(reader.view().load(number)).event->id().str());
  std::map<kv::Position, stores::EventRecord> memberships;
  for (stores::EventNumber number = 1; number <= head->record.last_event; ++number) {
    const auto held = must(reader.view().load(number));
    EventFacts event;
    event.sender_server = held.event->sender().server();
    event.standing = held.record.standing;
    event.position = held.record.position;
    event.depth = held.event->depth();
    if (held.event->is("m.room.member") && event.position > 0 && !event.standing.backfilled)
      memberships[event.position] = held.record;
    const bool of_edge = facts.extremities.contains(held.event->id().str());
    if ((event.sender_server == own_name && !event.standing.outlier) || of_edge) {
      add_servers(reader, held.record.state_before, event.servers);
      add_servers(reader, held.record.state_after, event.servers);
    }
    facts.events[held.event->id().str()] = std::move(event);
  }
  std::set<std::string> inside;
  for (const auto& [position, record] : memberships) {
    std::set<std::string> servers;
    add_servers(reader, record.room_state.value_or(record.state_after), servers);
    if (!inside.contains(own_name) && servers.contains(own_name)) facts.entered_at = record.depth;
    std::ranges::set_difference(inside, servers,
                                std::inserter(facts.once_gone, facts.once_gone.end()));
    inside = std::move(servers);
  }
  return facts;
}

}  // namespace

std::set<std::string> RoomFacts::servers() const {
  std::set<std::string> names;
  for (const auto& [user, membership] : members) {
    if (membership == "join") names.insert(server_of(user));
  }
  return names;
}

std::map<std::string, RoomFacts> read_rooms(World& world, size_t index) {
  server::Homeserver& homeserver = world.homeserver(index);
  const auto snapshot = world.database(index).snapshot();
  std::map<std::string, RoomFacts> rooms;
  must(stores::for_each_room(
      *snapshot, [&](stores::RoomNumber, const stores::RoomRecord& record) -> Status {
        rooms[record.id.str()] = read_room(homeserver, record.id, world.name(index));
        return {};
      }));
  return rooms;
}

}  // namespace polder::simulation
