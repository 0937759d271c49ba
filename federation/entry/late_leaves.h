// Leaves of which no server of their room could be told: a user who declines is rid of the invite
// at once, and those who invited learn of it as soon as they can be reached.
// https://spec.matrix.org/v1.19/server-server-api/#leaving-rooms-rejecting-invites
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "federation/client/client.h"
#include "homeserver/rooms/turns/rooms.h"
#include "storage/stores/federation/federation_rows.h"

namespace polder::entry {

// They are kept on disk, and told when the transport lets their server be asked again, which it
// does at once if it is heard from; after a week they are given up. Lives on shard 0. Outlives its
// tasks.
class LateLeaves {
 public:
  // Tells the servers of the leave. An error that is temporary: they could not be asked.
  using Retry = std::function<Task<Status>(stores::LateLeave)>;
  LateLeaves(const rooms::RoomParts& rooms, client::FederationClient& federation, Retry retry)
      : rooms_(rooms), federation_(federation), retry_(std::move(retry)) {}

  // Goes on with what was left. Synchronous; before the first request.
  Status start();
  // It is on disk when this returns. Callable on any shard.
  Task<Status> keep(stores::LateLeave leave);

 private:
  using Key = std::pair<UserId, RoomId>;

  Task<Status> keep_here(stores::LateLeave leave);
  void begin(stores::LateLeave leave);
  Task<void> retry(stores::LateLeave leave);
  Millis until_asked(const stores::LateLeave& leave) const;
  runtime::Runtime& runtime() const { return rooms_.runtime; }

  const rooms::RoomParts& rooms_;
  client::FederationClient& federation_;
  const Retry retry_;
  std::set<Key> waiting_;  // each has its task
};

}  // namespace polder::entry
