// What other servers may read of a room.
#pragma once

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "homeserver/rooms/read/reader.h"

namespace polder::rooms {

inline constexpr size_t kChainEventsMax = 500'000;  // of one auth chain; beyond, kTooLarge

// An event as other servers may have it, as canonical JSON: redacted if a redaction applies to it.
// Nothing if it is not there. Synchronous.
Result<std::optional<std::string>> visible_pdu(const kv::Snapshot& snapshot,
                                               stores::EventPlace place,
                                               const events::RoomVersionRules& rules);

// Reads for one server, from the reader's snapshot. Synchronous; on the pool; lives for one
// request. Borrows the reader.
class FederationReader {
 public:
  using Found = std::pair<EventNumber, HeldEvent>;

  FederationReader(const RoomReader& room, ServerName server)
      : room_(room), server_(std::move(server)) {}

  const RoomReader& room() const { return room_; }
  // Whether the server has a joined member, by the current state.
  Result<bool> in_room() const;
  // The user's place in the room, by the current state.
  Result<stores::Membership> membership(const UserId& user) const;

  // An event of this room. kNotFound for one that is not here, one of another room, and one that
  // was rejected: who asks cannot tell these apart.
  Result<Found> find(const EventId& id) const;
  // Whether the server may see the content of an event: whether it has, or had at the event, a user
  // who may (https://spec.matrix.org/v1.19/client-server-api/#server-behaviour-5). State whose
  // place in history is not known here is seen by every server in the room.
  Result<bool> visible(const HeldEvent& event);
  // The same, but for events of users whose accounts were erased: those only servers get that had a
  // member at the event.
  Result<bool> shown_whole(const HeldEvent& event);

  // The stored JSON; redacted if a redaction applies to the event, or unless it is shown whole.
  Result<std::string> pdu(EventNumber number, bool whole = true) const;
  // The event as pdu() gives it, whole if it is shown_whole().
  Result<std::string> visible_pdu(EventNumber number);
  Result<std::vector<EventId>> ids(const std::vector<EventNumber>& events) const;

  Result<std::vector<EventNumber>> state(stores::StateRoot root) const;
  // What authorises the events, what authorises that, and so on; without the events themselves but
  // where they authorise others. In rooms whose id names it, with the create event. Ascending: each
  // after what authorises it.
  Result<std::vector<EventNumber>> auth_chain(const std::vector<EventNumber>& events) const;

  // https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1backfillroomid: the
  // events and what precedes them, newest first. Unknown ones count as absent.
  Result<std::vector<EventNumber>> backfill(const std::vector<EventId>& from, size_t limit) const;
  // https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1get_missing_eventsroomid:
  // what precedes the latest events, short of the earliest, oldest first.
  Result<std::vector<EventNumber>> missing(const std::vector<EventId>& earliest,
                                           const std::vector<EventId>& latest, int64_t min_depth,
                                           size_t limit) const;

  // Whether the rules allow an event now, on top of the current state: kForbidden with the rule.
  Status allows(const events::Event& event) const;
  // Whether everything that the event refers to is part of the room's history here: kMissing
  // otherwise. What a server that is not in the room says of the room's past is not believed.
  Status check_links(const events::Event& event) const;

 private:
  Result<bool> has_member(stores::StateRoot root, bool invited_counts);

  const RoomReader& room_;
  const ServerName server_;
  // By node and whether invited members count: successive events have the same state.
  std::unordered_map<uint64_t, bool> has_member_;
};

}  // namespace polder::rooms
