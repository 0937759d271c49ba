// What a server's database says of its rooms, in words that can be compared between servers.
#pragma once

#include <map>
#include <set>
#include <string>

#include "storage/stores/rooms/event_rows.h"
#include "tests/simulation/world.h"

namespace polder::simulation {

struct EventFacts {
  std::string sender_server;
  stores::Standing standing;
  kv::Position position = 0;
  int64_t depth = 0;
  // With joined members before or after it; of events of the own server, and of the edge.
  std::set<std::string> servers;
};

struct RoomFacts {
  bool followed = false;                     // a user of the server is joined
  int64_t entered_at = 0;                    // depth of the join by which the server last came in
  std::map<std::string, std::string> state;  // "type|key" -> event id
  std::map<std::string, std::string> members;
  std::set<std::string> extremities;
  std::set<std::string> once_gone;  // servers whose last member has left at some time
  std::map<std::string, EventFacts> events;

  std::string membership(const std::string& user) const {
    const auto found = members.find(user);
    return found == members.end() ? "" : found->second;
  }
  std::set<std::string> servers() const;  // with joined members
};

// By room id. The server is up.
std::map<std::string, RoomFacts> read_rooms(World& world, size_t index);

}  // namespace polder::simulation
