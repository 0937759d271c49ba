// The index over the times that events say they were sent at. Only what is shown to clients is in
// it.
#pragma once

#include <cstdint>
#include <vector>

#include "storage/stores/rooms/event_rows.h"

namespace polder::stores {

// A place in a room's order by time: events of one millisecond are in the order of their numbers.
struct TimeEntry {
  int64_t time_ms = 0;  // origin_server_ts; what is before 1970 counts as 0
  EventNumber number = 0;
};

void put_event_time(kv::Batch& batch, EventPlace place, int64_t time_ms);
void erase_event_time(kv::Batch& batch, EventPlace place, int64_t time_ms);

// From a place on, itself included, earliest first; up to a place, itself included, latest first.
Result<std::vector<TimeEntry>> read_from_time(const kv::Snapshot& snapshot, RoomNumber room,
                                              TimeEntry from, size_t limit);
Result<std::vector<TimeEntry>> read_to_time(const kv::Snapshot& snapshot, RoomNumber room,
                                            TimeEntry to, size_t limit);

}  // namespace polder::stores
