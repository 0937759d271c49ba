// Deletions of rooms that administrators asked for, and how far they have got. In memory: what is
// left of one when the program ends is purged all the same, but nothing tells of it.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "homeserver/base/values/ids.h"
#include "homeserver/base/values/mutex.h"

namespace polder::admin_api {

struct Deletion {
  std::string id;
  RoomId room;
  std::string status;  // shutting_down | purging | complete | failed
  std::string error = {};
  std::vector<UserId> kicked = {};
  std::vector<UserId> failed_to_kick = {};
};

// Thread-safe. Forgets the oldest beyond a limit.
class Deletions {
 public:
  // False if the room is being deleted already.
  bool begin(Deletion deletion);
  void update(const Deletion& deletion);
  std::optional<Deletion> find(std::string_view id) const;
  std::vector<Deletion> of_room(const RoomId& room) const;

 private:
  mutable base::Mutex mutex_;
  std::deque<Deletion> deletions_ GUARDED_BY(mutex_);
};

}  // namespace polder::admin_api
