// A state as it was received from another server, before anything of it is verified: tens of
// thousands of events, which are taken in in an order in which each comes after those that it
// needs, a bounded number at a time. What makes the room usable comes first.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "homeserver/protocol/events/event.h"
#include "homeserver/rooms/model/ports.h"
#include "homeserver/rooms/write/auth_order.h"

namespace polder::rooms {

// Not thread-safe, but read_one() of different events.
class ReceivedState {
 public:
  // The rules outlive it.
  ReceivedState(const events::RoomVersionRules& rules, RoomId room, RemoteState state);

  // First read_one() of every event, then link(); the rest after these. Slow: on the pool.
  size_t size() const { return entries_.size(); }
  void read_one(size_t index);
  void link();

  const events::RoomVersionRules& rules() const { return rules_; }
  const RoomId& room() const { return room_; }
  // The events of the state, those that cannot be events of the room left out.
  std::vector<EventId> state_ids() const;

  // Of the users whose memberships are in the state; a limited number.
  std::vector<ServerName> servers() const;

  // Takes out what a room begins to live with: of a large state all that is no membership, or that
  // of a user of the event's server, the event's own auth events, and the auth events of these; of
  // one of at most `large` events everything.
  RemoteState take_first(const events::Event& event, size_t large);
  // Takes out up to max events of what is left, each after those of its auth events that were
  // received; none if none is left.
  std::vector<std::string> take_next(size_t max);
  bool empty() const { return next_ == order_.size(); }

 private:
  struct Entry {
    std::string pdu;
    EventId id{};
    std::vector<EventId> auth_events{};  // until link()
    std::string server{};                // of whose membership it is
    bool in_state = false;
    bool is_event = false;
    bool is_create = false;
    bool is_member = false;
    bool taken = false;
  };

  void take(std::vector<uint32_t> wanted, RemoteState& out);

  const events::RoomVersionRules& rules_;
  const RoomId room_;
  const std::shared_ptr<const void> counted_;  // the bytes, as long as any of them are here
  std::vector<Entry> entries_;
  std::unordered_map<EventId, uint32_t> index_;
  AuthPlaces auth_events_;
  std::vector<uint32_t> order_;
  size_t next_ = 0;
};
using ReceivedStatePtr = std::shared_ptr<ReceivedState>;

}  // namespace polder::rooms
