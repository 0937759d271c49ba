// A room's current state, which follows the state of its edge: who is told, and the memberships,
// counts and servers of the room. The first whole state of a large room differs from what there was
// by tens of thousands of members: such a distance is gone in steps, each of a bounded size.
#pragma once

#include <set>
#include <unordered_map>

#include "homeserver/rooms/write/stage.h"

namespace polder::rooms {

// Works on a copy of the room's record and on what is being staged; both outlive it, as does the
// view. The room itself is changed by apply().
class CurrentState {
 public:
  CurrentState(const StageContext& context, Room& room, const RoomView& view,
               stores::RoomRecord& record, Staged& staged)
      : context_(context), room_(room), view_(view), record_(record), staged_(staged) {}

  // An event, which sets this key if it is state, has made this the state of the edge. What differs
  // is noted among the staged changes. If the current state was on its way to the edge, it takes
  // what the event changed there, and no step.
  Status follow_event(stores::StateRoot edge, std::optional<stores::StateKey> own_key);
  // One step, or all that is left, towards what is the state of the edge now. The step has this
  // key, if there is one: whatever else lags behind, who enters a room is in it.
  Status follow(stores::StateRoot edge, std::optional<stores::StateKey> first = {});
  // The rows that follow from the changes.
  Status write(kv::PositionSlot slot);
  // Invites and knocks that reached users while this server was not in the room: the room's state
  // says from now on what they are. After write().
  Status end_outside(kv::PositionSlot slot);
  void apply(Room& room) const;

 private:
  Status put_first(stores::StateRoot edge, std::optional<stores::StateKey> key,
                   std::vector<stores::StateDifference>& differences) const;
  Status take(const std::vector<stores::StateDifference>& differences);
  Status note(const std::vector<stores::StateDifference>& differences);
  void set_edge(stores::StateRoot edge);
  Status count(const UserId& user, stores::Membership membership, int step);

  const StageContext& context_;
  Room& room_;
  const RoomView& view_;
  stores::RoomRecord& record_;
  Staged& staged_;
  std::set<stores::UserNumber> written_;                        // whose memberships were
  std::unordered_map<stores::ServerNumber, uint64_t> servers_;  // changed counts
};

}  // namespace polder::rooms
