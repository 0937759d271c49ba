#include "homeserver/rooms/read/gaps.h"

namespace polder::rooms {

Result<bool> has_gap_before(const RoomReader& reader, const HeldEvent& event) {
  for (const EventId& id : event.event->prev_events()) {
    POLDER_TRY(const auto number, reader.view().find(id));
    if (!number) return true;
    POLDER_TRY(const auto record, reader.view().record(*number));
    if (record.standing.outlier) return true;
  }
  return false;
}

}  // namespace polder::rooms
