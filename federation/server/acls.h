// The access control lists of rooms, ready to be asked.
// https://spec.matrix.org/v1.19/server-server-api/#server-access-control-lists-acls
#pragma once

#include <memory>
#include <unordered_map>

#include "homeserver/base/values/mutex.h"
#include "homeserver/protocol/dag/server_acl.h"
#include "homeserver/rooms/read/reader.h"

namespace polder::federation_server {

// Remembers the lists and what they said: a list may be as large as an event, and is asked with
// every event that arrives. Thread-safe; reads the disk: on the pool.
class Acls {
 public:
  // By the room's current state; yes if it has no list.
  Result<bool> allows(const rooms::RoomReader& room, const ServerName& server);

 private:
  struct Entry {
    stores::EventNumber event = 0;
    std::shared_ptr<const dag::ServerAcl> acl;
    std::unordered_map<ServerName, bool> verdicts;
  };

  base::Mutex mutex_;
  std::unordered_map<stores::RoomNumber, Entry> rooms_ GUARDED_BY(mutex_);
};

}  // namespace polder::federation_server
