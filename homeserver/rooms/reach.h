// Whom an event reaches, by the default push rules, and the thread it is in. Synchronous.
#pragma once

#include "homeserver/protocol/push_rules/rule_set.h"
#include "homeserver/rooms/room.h"

namespace polder::rooms {

inline constexpr std::string_view kMainThread = "main";

// The id of the root of the thread that an event is in, or kMainThread
// (https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts).
Result<std::string> thread_of(const events::Event& event, const RoomView& view);
// Whether a receipt at the event may name the thread: the one that it is in; for a root, and for
// what relates to it, also the one that begins there.
Result<bool> may_be_read_in(const events::Event& event, std::string_view thread, RoomNumber room,
                            const RoomView& view);

// Whether the sender may notify a room in some way, by the power levels of a state.
Result<bool> may_notify(const events::Event& event, stores::StateRoot state, std::string_view key,
                        const RoomView& view);

// Borrows all of it.
struct ReachQuestion {
  const events::Event& event;
  stores::StateRoot before;   // the state before it: who may notify whom
  stores::StateRoot current;  // the room's: who is a member
  uint64_t members = 0;       // joined
  const ServerName& own_name;
  const push_rules::RuleSet& rules;  // the default ones
};
Result<Reach> reach_of(const ReachQuestion& question, const RoomView& view);

// Gives an event that notifies its number, in the room's record too.
void put_reach(kv::Batch& batch, RoomNumber room, kv::PositionSlot slot, const Reach& reach,
               stores::RoomRecord& record);

}  // namespace polder::rooms
