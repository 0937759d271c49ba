// In which order a room is read: which way receipts and read markers go.
#pragma once

#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"

namespace polder::users {

// Whether what says that a room was read up to `from` may say so of `to` instead. It never goes
// back to an older event, nor to the same; it goes to, and from, an event whose place in the room
// is not known: one that is yet to come, that is an outlier, or that was purged. Reads the disk.
Result<bool> goes_on(const kv::Snapshot& snapshot, stores::RoomNumber room, const EventId& from,
                     const EventId& to);

}  // namespace polder::users
