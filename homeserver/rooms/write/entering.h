// Rooms that this server is about to be in: another server has, or may have, let it in, but its
// answer with the room's state has not been taken in yet. Events that come meanwhile are none of a
// stranger's.
#pragma once

#include <map>
#include <utility>

#include "homeserver/base/values/ids.h"
#include "homeserver/base/values/mutex.h"
#include "homeserver/protocol/events/room_version.h"

namespace polder::rooms {

// Thread-safe.
class EnteringRooms {
 public:
  // While it lives, the room is being entered. The rooms outlive it.
  class Mark {
   public:
    Mark(EnteringRooms& rooms, RoomId room, const events::RoomVersionRules& rules)
        : rooms_(rooms), room_(std::move(room)) {
      const base::Lock lock(rooms_.mutex_);
      rooms_.marks_.emplace(room_, &rules);
    }
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;
    ~Mark() {
      const base::Lock lock(rooms_.mutex_);
      rooms_.marks_.erase(rooms_.marks_.find(room_));
    }

   private:
    EnteringRooms& rooms_;
    const RoomId room_;
  };

  // The rules of the room's version, if it is being entered; else null.
  const events::RoomVersionRules* find(const RoomId& room) const {
    const base::Lock lock(mutex_);
    const auto found = marks_.find(room);
    return found == marks_.end() ? nullptr : found->second;
  }

 private:
  mutable base::Mutex mutex_;
  std::multimap<RoomId, const events::RoomVersionRules*> marks_ GUARDED_BY(mutex_);
};

}  // namespace polder::rooms
