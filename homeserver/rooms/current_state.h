// What follows from a change of a room's current state: who is told, and the memberships, counts
// and servers of the room.
#pragma once

#include <set>
#include <unordered_map>

#include "homeserver/rooms/stage.h"

namespace polder::rooms {

// Works on a copy of the room's record and on what is being staged; both outlive it, as does the
// view. The room itself is changed by apply().
class CurrentState {
 public:
  CurrentState(const StageContext& context, const Room& room, const RoomView& view,
               stores::RoomRecord& record, Staged& staged)
      : context_(context), room_(room), view_(view), record_(record), staged_(staged) {}

  // The record's state has become another one: notes what differs among the staged changes.
  Status change(stores::StateRoot before);
  // The rows that follow from the changes.
  Status write(kv::PositionSlot slot);
  // Invites and knocks that reached users while this server was not in the room: the room's state
  // says from now on what they are. After write().
  Status end_outside(kv::PositionSlot slot);
  void apply(Room& room) const;

 private:
  Status count(const UserId& user, stores::Membership membership, int step);

  const StageContext& context_;
  const Room& room_;
  const RoomView& view_;
  stores::RoomRecord& record_;
  Staged& staged_;
  std::set<stores::UserNumber> written_;                        // whose memberships were
  std::unordered_map<stores::ServerNumber, uint64_t> servers_;  // changed counts
};

}  // namespace polder::rooms
