#include "homeserver/users/data/read_order.h"

#include "storage/stores/rooms/event_rows.h"

namespace polder::users {
namespace {

// The order in which events were told of. What was backfilled lies before all of that, by depth.
struct ReadPlace {
  kv::Position told = 0;  // 0: backfilled
  stores::DepthPlace place;
  friend auto operator<=>(const ReadPlace&, const ReadPlace&) = default;
};

Result<std::optional<ReadPlace>> read_place(const kv::Snapshot& snapshot, stores::RoomNumber room,
                                            const EventId& id) {
  POLDER_TRY(const auto place, stores::find_event(snapshot, id));
  if (!place || place->room != room) return std::optional<ReadPlace>();
  POLDER_TRY(const auto record, stores::read_event_record(snapshot, *place));
  if (!record || record->standing.outlier) return std::optional<ReadPlace>();
  ReadPlace read{record->position, {record->depth, record->position}};
  if (record->standing.backfilled) read.told = 0;
  return std::optional(read);
}

}  // namespace

Result<bool> goes_on(const kv::Snapshot& snapshot, stores::RoomNumber room, const EventId& from,
                     const EventId& to) {
  if (from == to) return false;
  POLDER_TRY(const auto before, read_place(snapshot, room, from));
  POLDER_TRY(const auto after, read_place(snapshot, room, to));
  return !before || !after || *before < *after;
}

}  // namespace polder::users
