// What must hold once everything is healed and has settled, whatever happened before.
#include <algorithm>
#include <array>

#include "storage/stores/check/check.h"
#include "tests/simulation/facts.h"
#include "tests/simulation/history.h"

namespace polder::simulation {
namespace {

bool is_in_timeline(const EventFacts& event) {
  const stores::Standing& standing = event.standing;
  return !standing.outlier && !standing.rejected && !standing.soft_failed && event.position > 0;
}

// Nothing that was acknowledged is ever lost.
void acknowledged_events_are_there(History& history) {
  std::vector<std::map<std::string, RoomFacts>> rooms;
  for (size_t i = 0; i < history.world().size(); ++i)
    rooms.push_back(read_rooms(history.world(), i));
  for (const AcknowledgedEvent& event : history.events()) {
    if (!history.is_honest(event.server)) continue;
    const auto room = rooms[event.server].find(event.room);
    const bool there = room != rooms[event.server].end() && room->second.events.contains(event.id);
    if (!there || !is_in_timeline(room->second.events.at(event.id))) {
      history.finding("the acknowledged event " + event.id + " of " + event.room + " is " +
                      (there ? "refused" : "lost") + " at " + history.world().name(event.server));
    }
  }
}

// An event reaches every server that is in its room at the event, and has the same place there. It
// may be soft-failed: what came before it depends on what each knew; and nothing is kept of that if
// nobody of its server was in the room then. What is from before the other
// server came in (again) is history, which it has only where somebody paged back.
void check_delivered(History& history, const std::string& room, const RoomFacts& at_sender,
                     const std::string& sender, const RoomFacts& at_other,
                     const std::string& other) {
  for (const auto& [id, event] : at_sender.events) {
    if (event.sender_server != sender || event.standing.rejected || event.standing.outlier ||
        event.depth <= at_other.entered_at || !event.servers.contains(other)) {
      continue;
    }
    const auto found = at_other.events.find(id);
    if (found == at_other.events.end()) {
      if (at_other.once_gone.contains(sender)) continue;
      history.finding(id + " of " + room + " never came from " + sender + " to " + other);
    } else if (found->second.standing.outlier || found->second.standing.rejected) {
      history.finding(id + " of " + room + " is " +
                      (found->second.standing.rejected ? "rejected" : "an outlier") + " at " +
                      other);
    }
  }
}

// Whether the edge of one has an event that the other soft-failed, or kept nothing of. The other
// builds on it no more than it shows it, and what it thinks current stays what it was: they agree
// only once the other is told by an event that it can take.
bool is_refused_edge(const RoomFacts& one, const RoomFacts& other) {
  return std::ranges::any_of(one.extremities, [&](const std::string& id) {
    const auto found = other.events.find(id);
    if (found == other.events.end())
      return other.once_gone.contains(one.events.at(id).sender_server);
    return found->second.standing.soft_failed;
  });
}

// Without what nobody had to tell the other one: events that have no place there, and at which it
// was not in the room. They come from branches of before, and the next event of either joins them.
std::set<std::string> edge_for(const RoomFacts& one, const RoomFacts& other,
                               const std::string& other_name) {
  std::set<std::string> edge;
  for (const std::string& id : one.extremities) {
    const auto found = other.events.find(id);
    const bool placed = found != other.events.end() && !found->second.standing.outlier;
    if (placed || one.events.at(id).servers.contains(other_name)) edge.insert(id);
  }
  return edge;
}

void check_same_state(History& history, const std::string& room, const RoomFacts& one,
                      const std::string& one_name, const RoomFacts& other,
                      const std::string& other_name) {
  if (is_refused_edge(one, other) || is_refused_edge(other, one)) return;
  std::map<std::string, std::pair<std::string, std::string>> both;
  for (const auto& [key, id] : one.state)
    both[key].first = id;
  for (const auto& [key, id] : other.state)
    both[key].second = id;
  for (const auto& [key, ids] : both) {
    if (ids.first != ids.second) {
      history.finding(room + " has for " + key + " at " + one_name + " '" + ids.first + "', at " +
                      other_name + " '" + ids.second + "'");
    }
  }
  if (edge_for(one, other, other_name) != edge_for(other, one, one_name))
    history.finding(room + " has not the same edge at " + one_name + " and " + other_name);
}

// Servers that share a room agree on it.
void shared_rooms_are_the_same(History& history) {
  World& world = history.world();
  for (size_t i = 0; i < world.size(); ++i) {
    for (size_t j = 0; j < world.size(); ++j) {
      const auto ones = read_rooms(world, i);
      const auto others = read_rooms(world, j);
      for (const auto& [room, one] : ones) {
        if (i == j || !history.is_honest(i) || !history.is_honest(j) || !one.followed ||
            !one.servers().contains(world.name(j)) || history.is_misled(world.name(i), room) ||
            history.is_misled(world.name(j), room))
          continue;
        const auto other = others.find(room);
        if (other == others.end() || !other->second.followed) {
          history.finding(world.name(j) + " is in " + room + " for " + world.name(i) +
                          " but does not know it");
          continue;
        }
        // A server that has come in for itself only, because others know of its leaving and took
        // its join for refused, is told nothing.
        if (!other->second.servers().contains(world.name(i))) continue;
        check_delivered(history, room, one, world.name(i), other->second, world.name(j));
        if (i < j)
          check_same_state(history, room, one, world.name(i), other->second, world.name(j));
      }
    }
  }
}

void device_messages_come_once(History& history) {
  for (const auto& message : history.messages()) {
    const auto found = message->to->messages.find(message->id);
    const int times = found == message->to->messages.end() ? 0 : found->second;
    if (times > 1 || (times == 0 && message->acknowledged)) {
      history.finding(message->id + " to " + message->to->id + " came " + std::to_string(times) +
                      " times");
    }
  }
}

// Whoever syncs all the time sees every event of the timeline from the first that they saw.
void syncs_are_complete(History& history) {
  for (const auto& user : history.users()) {
    if (!history.is_honest(user->server)) continue;
    const auto rooms = read_rooms(history.world(), user->server);
    for (const auto& [room, seen] : user->seen) {
      const auto facts = rooms.find(room);
      if (user->gaps.contains(room) || facts == rooms.end() ||
          facts->second.membership(user->id) != "join") {
        continue;
      }
      kv::Position first = ~kv::Position{0};
      for (const std::string& id : seen) {
        const auto event = facts->second.events.find(id);
        if (event == facts->second.events.end()) {
          history.finding(user->id + " was told of " + id + ", which is not there");
        } else {
          first = std::min(first, event->second.position);
        }
      }
      for (const auto& [id, event] : facts->second.events) {
        if (is_in_timeline(event) && !event.standing.backfilled && event.position > first &&
            !seen.contains(id)) {
          history.finding(user->id + " was never told of " + id + " in " + room);
        }
      }
    }
  }
}

void databases_are_consistent(History& history) {
  for (size_t i = 0; i < history.world().size(); ++i) {
    const auto report = stores::check_database(*history.world().database(i).snapshot());
    if (!report.ok()) {
      history.finding(history.world().name(i) + " cannot be read: " + report.error().message);
      continue;
    }
    for (const std::string& fault : report->faults)
      history.finding(history.world().name(i) + ": " + fault);
  }
}

constexpr auto kOracles = std::to_array<Oracle>({
    {"acknowledged_events_are_there", acknowledged_events_are_there},
    {"shared_rooms_are_the_same", shared_rooms_are_the_same},
    {"device_messages_come_once", device_messages_come_once},
    {"syncs_are_complete", syncs_are_complete},
    {"databases_are_consistent", databases_are_consistent},
});

}  // namespace

std::span<const Oracle> oracles() {
  return kOracles;
}

}  // namespace polder::simulation
