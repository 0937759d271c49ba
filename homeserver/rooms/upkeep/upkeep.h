// What rooms need besides changes: purging them or their history, and completing states that are
// known in part. In the background, in turns of the rooms.
#pragma once

#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/rooms/turns/rooms.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::rooms {

// Up to where history is purged, and of whom.
struct HistoryPoint {
  EventId up_to;           // what is before it goes
  bool local_too = false;  // also the content of events of this server's users
};

class RoomUpkeep final : public PartialStates {
 public:
  // The writer outlives it, and asks it for nothing before this.
  explicit RoomUpkeep(RoomWriter& writer);
  ~RoomUpkeep() override;
  RoomUpkeep(const RoomUpkeep&) = delete;
  RoomUpkeep& operator=(const RoomUpkeep&) = delete;

  // Goes on with what was under way when the program ended. Once other servers can be asked.
  Status start();

  // Removes a room that no local user is in, with all its events. The room is gone at once; its
  // rows are erased in the background, in small steps, and then its disk is given back: the call
  // returns after that. Until then nobody can enter the room again (kUnavailable). What stays is
  // that local users left it, or that their invites ended, for their clients to be told; and that
  // the actor had it purged, on record. kNotFound if the room is not here, kForbidden if local
  // users are in it, and what the policy refuses.
  Task<Status> purge(RoomId room, policy::Actor actor);
  // Purges the history before an event: all events of smaller depth but forward extremities. From
  // then on nobody can read it, and other servers are not asked for it; the rows are erased in the
  // background, a few in each turn of the room. State, redactions of what stays and, unless
  // local_too, the events of this server's users are kept as events whose place is not known, for
  // others to refer to. Gives the depth before which all goes, once that is certain and on record.
  // kNotFound if room or event are not here; kExists while another purge is under way; kUnavailable
  // if the state is known in part; and what the policy refuses the actor.
  Task<Result<int64_t>> purge_history(RoomId room, HistoryPoint point, policy::Actor actor);
  // Goes on with what a crash interrupted of either. At start.
  Task<void> finish_purges();
  // Whether the purge that gave the depth has come to its end; nothing if there was none. Reads.
  Result<std::optional<bool>> is_history_purged(const RoomId& room, int64_t below) const;

  // PartialStates
  void keep_rest(RoomNumber room, EventNumber event, ReceivedStatePtr rest) override;
  void complete_later(RoomNumber room) override;

 private:
  struct Shard {
    // Whose states are being completed, and whether there is more to look at than was known then.
    std::unordered_map<RoomNumber, bool> completing;
    // What is not yet taken in of the state that came with an event; in memory only: it can be
    // asked for again.
    std::unordered_map<RoomNumber, std::pair<EventNumber, ReceivedStatePtr>> rests;
  };

  Task<Status> begin_purge(RoomNumber number, policy::Actor actor);
  Task<Status> erase_purged(RoomNumber number);
  Task<Result<int64_t>> begin_history_purge(RoomNumber number, HistoryPoint point,
                                            policy::Actor actor);
  Task<Status> erase_history(RoomNumber number);
  Task<Status> erase_old_highlights(RoomNumber number);
  Task<void> erase_history_and_tell(RoomNumber number);

  Task<void> complete(RoomNumber number);
  Task<Result<bool>> complete_once(RoomNumber number);  // true: nothing is left to do
  Task<Result<stores::StateRoot>> store_rest(RoomNumber number, EventNumber event);
  Task<Result<stores::StateRoot>> whole_state(RoomNumber number, EventNumber event,
                                              stores::PartialOrigin origin);

  RoomWriter& writer_;
  Rooms& rooms_;
  const RoomParts& parts_;  // of the rooms
  const StageContext& context_;
  Caches& caches_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace polder::rooms
