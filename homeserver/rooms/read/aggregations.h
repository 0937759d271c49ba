// What others' events say about an event, bundled with it.
// https://spec.matrix.org/v1.19/client-server-api/#aggregations-of-child-events
#pragma once

#include "homeserver/rooms/read/reader.h"

namespace polder::rooms {

// The object `m.relations` of the event's `unsigned`: m.replace, m.thread and m.reference, of what
// the reader may see and nobody redacted. Empty if there is none. The latest event of a thread
// comes with its own replacement. Synchronous; on the pool.
Result<std::string> bundled_relations(const RoomReader& room, const ReaderOf& reader,
                                      const HeldEvent& event, bool redacted);

}  // namespace polder::rooms
