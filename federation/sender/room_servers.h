// Which servers were in a room at a state: where an event of that state goes.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "homeserver/base/values/ids.h"
#include "homeserver/base/values/mutex.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"
#include "storage/stores/rooms/state_map.h"

namespace polder::sender {

using ServerSet = std::set<ServerName>;

// Remembers the last state of each room that was asked about; the next one differs little, so that
// only the difference is read. Thread-safe; reads the disk.
class RoomServers {
 public:
  RoomServers(stores::Names& names, stores::StateNodeCache& nodes) : names_(names), nodes_(nodes) {}

  // Whether the user was invited or knocking.
  Result<bool> is_asked(const kv::Snapshot& snapshot, stores::RoomNumber room,
                        stores::StateRoot root, std::string_view user) const;

  // Whether the server is the only one with joined members.
  Result<bool> is_only(const kv::Snapshot& snapshot, stores::RoomNumber room,
                       stores::StateRoot root, const ServerName& server);

  // Servers with joined members.
  Result<ServerSet> at(const kv::Snapshot& snapshot, stores::RoomNumber room,
                       stores::StateRoot root);

 private:
  struct Known {
    stores::StateRoot root;
    std::map<ServerName, int64_t> joined;  // members of each server
  };
  Result<Known> read(const kv::Snapshot& snapshot, stores::RoomNumber room, stores::StateRoot root,
                     const Known* near) const;
  Result<Known> read_current(const kv::Snapshot& snapshot, stores::RoomNumber room,
                             stores::StateRoot root) const;
  Status apply(const kv::Snapshot& snapshot, stores::RoomNumber room,
               const std::vector<stores::EventNumber>& members, int64_t change, Known& known) const;

  stores::Names& names_;
  stores::StateNodeCache& nodes_;
  base::Mutex mutex_;
  std::map<stores::RoomNumber, Known> rooms_ GUARDED_BY(mutex_);
};

}  // namespace polder::sender
