// Whom a commit concerns, as the rows say that it writes. Readers who wait for changes are woken by
// this, so that whoever writes does not have to think of them.
#pragma once

#include <vector>

#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"

namespace polder::stores {

struct Touched {
  // Everyone in the room: events, changes of the current state, receipts.
  std::vector<RoomNumber> rooms;
  // The user: account data, push rules, messages to devices, memberships but joins, private
  // receipts, whose keys they signed, sessions that began or ended.
  std::vector<UserNumber> users;
  // The user, as a member of a room: joins, and changes of the profile there.
  std::vector<UserNumber> members;
  // Whoever shares a room with the user, and the user: device lists.
  std::vector<UserNumber> device_lists;

  bool empty() const;
  void merge();  // each once, in order
};

// Adds whom a batch concerns; its positions are filled in.
void add_touched(const kv::Batch& batch, Touched& touched);

}  // namespace polder::stores
