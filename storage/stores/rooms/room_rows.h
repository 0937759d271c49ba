// Rows of rooms: what the engine needs to go on with a room, who is in it, and the stream of all
// events.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"
#include "storage/stores/rooms/event_rows.h"

namespace polder::stores {

struct RoomRecord {
  RoomId id;
  std::string version;
  std::vector<EventNumber> extremities;  // forward extremities, ascending
  StateRoot state;  // the current state: resolved over the extremities; or on its way there:
  std::optional<StateRoot> edge_state = {};  // what it follows, in steps, if that is far
  EventNumber last_event = 0;                // numbers up to here are given
  uint64_t last_node = 0;                    // nodes of state maps up to here are given
  int64_t max_depth = 0;
  uint64_t joined = 0;  // members, by the current state
  uint64_t invited = 0;
  uint64_t notifying = 0;     // numbers of events that notify up to here are given (push_rows.h)
  bool local_joined = false;  // a user of this server is joined: the room is followed
  bool partial = false;       // there are events with a partial state (partial_rows.h), or the
                              // current state is on its way
  bool was_partial = false;   // there were; see read_completed_at()
  int64_t history_from = 0;   // events of smaller depth were purged, and are not asked for again

  // What the extremities resolve to: what the next event is built on and judged by.
  StateRoot edge() const { return edge_state.value_or(state); }
};

void put_room(kv::Batch& batch, RoomNumber room, const RoomRecord& record);
Result<std::optional<RoomRecord>> read_room(const kv::Snapshot& snapshot, RoomNumber room);
Status for_each_room(const kv::Snapshot& snapshot,
                     const std::function<Status(RoomNumber, const RoomRecord&)>& visit);

// How many members of a server are joined to a room, by the current state; no row for none.
void put_server_count(kv::Batch& batch, RoomNumber room, ServerNumber server, uint64_t joined);
Result<std::vector<std::pair<ServerNumber, uint64_t>>> read_server_counts(
    const kv::Snapshot& snapshot, RoomNumber room);
Result<bool> is_server_in_room(const kv::Snapshot& snapshot, RoomNumber room, ServerNumber server);

enum class Membership : uint8_t { kNone, kInvite, kJoin, kKnock, kLeave, kBan };
Membership membership_from(std::string_view text);  // kNone for what is none
std::string_view to_string(Membership membership);

// A user's place in a room, by the room's current state; for a room that this server is not in, by
// the invite or knock that reached it, or by what ended that (an outside membership). For a room
// that was purged: that the user is out of it.
struct MembershipRow {
  Membership membership = Membership::kNone;
  EventNumber event = 0;      // of the membership event; 0 if outside, or if the state has none
  kv::Position position = 0;  // when it came to be
  bool forgotten = false;     // the user does not want to see the room any more
  // A JSON array, if outside: of an invite or knock its stripped state, of a leave or ban that
  // event as clients get it. Empty for one that ended because this server entered the room, or
  // purged it.
  std::string stripped_state;
  EventId asked_by = {};  // if outside, the invite or knock; empty once that has ended
};

void put_membership(kv::Batch& batch, UserNumber user, RoomNumber room, const MembershipRow& row,
                    std::optional<kv::PositionSlot> slot);
// That of a row; kNone if it is damaged.
Membership membership_in(std::string_view value);
Result<std::optional<MembershipRow>> read_membership(const kv::Snapshot& snapshot, UserNumber user,
                                                     RoomNumber room);
Result<std::vector<std::pair<RoomNumber, MembershipRow>>> read_rooms_of(
    const kv::Snapshot& snapshot, UserNumber user);

Status for_each_membership(
    const kv::Snapshot& snapshot,
    const std::function<Status(UserNumber, RoomNumber, const MembershipRow&)>& visit);

// The users who are outside a room with an invite or knock: whose rows end when this server enters
// the room.
void put_outsider(kv::Batch& batch, RoomNumber room, UserNumber user);
void erase_outsider(kv::Batch& batch, RoomNumber room, UserNumber user);
Result<std::vector<UserNumber>> read_outsiders(const kv::Snapshot& snapshot, RoomNumber room);

// Every event of every room that was given a position, in order: what federation, push and
// application services follow.
void put_stream_event(kv::Batch& batch, kv::PositionSlot slot, EventPlace place);
void erase_stream_event(kv::Batch& batch, kv::Position position);
struct StreamEvent {
  kv::Position position = 0;
  EventPlace place;
};
// Of an entry's value.
Result<StreamEvent> stream_event_of(kv::Position position, std::string_view value);
// Entries with from < position <= to, oldest first.
Result<std::vector<StreamEvent>> read_stream_events(const kv::Snapshot& snapshot, kv::Position from,
                                                    kv::Position to, size_t limit);

}  // namespace polder::stores
