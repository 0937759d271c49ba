// Rooms with many members, all of this server.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/support/local_server.h"
#include "homeserver/rooms/write/local_event.h"

namespace polder::bench {

// One public room and its members @u0 to @uN, who need no account for this.
class BigRoom {
 public:
  BigRoom(LocalServer& server, const std::string& name, size_t members);

  size_t members() const { return members_; }
  const RoomId& id() const { return id_; }
  rooms::LocalEvent message();                                     // of the next member in turn
  rooms::LocalEvent membership(size_t member, const char* value);  // by the member
  // The number of its events, and the types, keys and contents of its current state.
  std::string text() const;

  // Sends the events one after the other and gives how long each took, from call to durable.
  Latencies send_all(std::vector<rooms::LocalEvent> events);
  // Sends them with so many under way at once.
  void send_pipelined(std::vector<rooms::LocalEvent> events, size_t under_way);

 private:
  static UserId user(size_t number);
  Task<Latencies> send_in_turn(std::vector<rooms::LocalEvent> events);
  Task<bool> send_share(std::shared_ptr<const std::vector<rooms::LocalEvent>> events, size_t first,
                        size_t step);

  LocalServer& server_;
  const size_t members_;
  RoomId id_;
  int64_t now_ = 1'790'000'000'000;
  size_t turn_ = 0;
};

}  // namespace polder::bench
