// The threads of a room.
// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidthreads
#pragma once

#include <vector>

#include "homeserver/rooms/read/reader.h"

namespace polder::rooms {

struct ThreadsQuery {
  bool participated = false;  // only those with the reader's own events
  stores::DepthPlace before = stores::kLastPlace;
  size_t limit = 0;
};

struct ThreadRoot {
  EventNumber number = 0;
  HeldEvent event;
  stores::DepthPlace latest;  // of its replies, of those that the reader sees
};
struct ThreadsPage {
  std::vector<ThreadRoot> threads;
  bool more = false;
};

// Threads whose root and some reply the reader may see, by the place of their latest reply that is
// before a place: the last one first. Synchronous; on the pool.
Result<ThreadsPage> read_threads(const RoomReader& room, const ReaderOf& reader,
                                 ThreadsQuery query);

}  // namespace polder::rooms
