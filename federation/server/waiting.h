// Events from other servers that cannot be judged yet: somebody who must be asked first does not
// answer, the server that has what they build on, or the one whose key signed that.
#pragma once

#include <map>
#include <vector>

#include "federation/server/api.h"
#include "storage/stores/federation/federation_rows.h"

namespace polder::federation_server {

// They are kept on disk and tried again with growing pauses, those of a room in their order. After
// an hour, what cannot be checked of the state that they build on is left out, as if it were badly
// signed: its server may be gone for good. After a day they are given up; an event that builds on
// them brings them back. Lives on shard 0. Outlives its tasks.
class WaitingEvents {
 public:
  explicit WaitingEvents(Api& api) : api_(api) {}

  // Goes on with what was left. Synchronous; before the first request.
  Status start();
  // The event is on disk when this returns; kTooLarge if too many wait. Callable on any shard.
  Task<Status> keep(ServerName origin, events::EventPtr event);

 private:
  struct Room {
    std::vector<stores::WaitingEvent> events;
    bool tried = false;  // a task is at it
  };

  Task<Status> keep_here(stores::WaitingEvent waiting, std::string pdu);
  size_t of_origin(const ServerName& origin) const;
  void add(stores::WaitingEvent waiting);
  void remove(Room& room, const stores::WaitingEvent& waiting);
  Task<void> try_room(RoomId id);
  // Whether it needs to wait no more.
  Task<bool> try_event(stores::WaitingEvent waiting);
  Task<Result<events::EventPtr>> read(stores::WaitingEvent waiting);

  Api& api_;
  std::map<RoomId, Room> rooms_;
  std::map<ServerName, size_t> by_origin_;
  size_t count_ = 0;
};

}  // namespace polder::federation_server
