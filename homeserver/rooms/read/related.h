// The events that relate to an event.
// https://spec.matrix.org/v1.19/client-server-api/#relationships-api
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "homeserver/rooms/read/reader.h"

namespace polder::rooms {

// How many relations away an event may be that relates to another one through others.
inline constexpr int kRecursionDepth = 3;

struct RelatedQuery {
  std::string rel_type = {}, type = {};  // empty: all
  bool forwards = false;
  bool recurse = false;  // also what relates to what relates to the event, and so on
  // From one boundary between events to another, in the direction.
  stores::DepthPlace from = {}, to = {};
  kv::Position client_has_from =
      kv::kLastPosition;  // backwards: what the timeline has had since is left out
  size_t limit = 0;
};

struct RelatedPage {
  std::vector<std::pair<EventNumber, HeldEvent>> events;
  std::optional<stores::DepthPlace> next;  // where to go on, if there may be more
};

// Those that the reader sees, neither redacted nor of users whom they ignore. Looks at a bounded
// number of relations: a page may be short, or empty, and not be the last. Synchronous; on the
// pool.
Result<RelatedPage> read_related(const RoomReader& room, const ReaderOf& reader,
                                 const EventId& parent, const RelatedQuery& query);

// Whether some event of one of the types, by one of the senders, relates to the event; what is
// absent is any. https://spec.matrix.org/v1.19/client-server-api/#filtering (RoomEventFilter)
struct RelatedBy {
  std::optional<std::set<std::string, std::less<>>> rel_types = {}, senders = {};
  bool any() const { return rel_types || senders; }
};
Result<bool> is_related_by(const RoomReader& room, const EventId& parent, const RelatedBy& by);

}  // namespace polder::rooms
