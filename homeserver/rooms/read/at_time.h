// The event of a room that is closest to a time.
// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event
#pragma once

#include <functional>
#include <optional>

#include "homeserver/rooms/read/reader.h"

namespace polder::rooms {

struct TimeQuery {
  int64_t time_ms = 0;
  bool forwards = true;  // the first event from then on; else the last one up to then
};

struct EventAtTime {
  EventNumber number = 0;
  EventId id;
  int64_t origin_server_ts = 0;
};
using MayRead = std::function<Result<bool>(const HeldEvent&)>;

// By what events say of their own time; of those only that whoever asks may read. Nothing if there
// is none, or none among the thousands that are closest. Synchronous; on the pool.
Result<std::optional<EventAtTime>> event_at_time(const RoomReader& room, TimeQuery query,
                                                 const MayRead& may_read);

// Whether events that are missing here may be closer: nothing was found, or a gap lies between the
// time and the event that was. Synchronous; on the pool.
Result<bool> may_be_closer_elsewhere(const RoomReader& room, TimeQuery query,
                                     const std::optional<EventAtTime>& found);

}  // namespace polder::rooms
