// Whom an event notifies, by the default push rules, and the thread it is in. Synchronous.
#pragma once

#include "homeserver/protocol/push_rules/rule_set.h"
#include "homeserver/rooms/model/room_view.h"

namespace polder::rooms {

// Whether the sender may notify a room in some way, by the power levels of a state.
Result<bool> may_notify(const events::Event& event, stores::StateRoot state, std::string_view key,
                        const RoomView& view);

// Borrows all of it.
struct NotificationQuestion {
  const events::Event& event;
  stores::StateRoot before;   // the state before it: who may notify whom
  stores::StateRoot current;  // the room's: who is a member
  uint64_t members = 0;       // joined
  const ServerName& own_name;
  const push_rules::RuleSet& rules;  // the default ones
};
Result<Notification> notification_of(const NotificationQuestion& question, const RoomView& view);

// Gives an event that notifies its number, in the room's record too.
void put_notification(kv::Batch& batch, RoomNumber room, kv::PositionSlot slot,
                      const Notification& notification, stores::RoomRecord& record);

}  // namespace polder::rooms
