#include "homeserver/rooms/read/at_time.h"

#include "homeserver/rooms/read/gaps.h"
#include "storage/stores/rooms/time_rows.h"

namespace polder::rooms {
namespace {

constexpr size_t kPage = 50;
constexpr size_t kLookedAtMax = 5000;  // events, most of which the reader may not see

Result<std::vector<stores::TimeEntry>> read_page(const RoomReader& room, stores::TimeEntry from,
                                                 bool forwards) {
  const RoomNumber number = room.head().number;
  return forwards ? stores::read_from_time(room.snapshot(), number, from, kPage)
                  : stores::read_to_time(room.snapshot(), number, from, kPage);
}

}  // namespace

Result<std::optional<EventAtTime>> event_at_time(const RoomReader& room, TimeQuery query,
                                                 const MayRead& may_read) {
  // Events have numbers from 1 on.
  stores::TimeEntry from{query.time_ms, query.forwards ? 0 : ~EventNumber{0}};
  if (!query.forwards && query.time_ms < 0) return std::optional<EventAtTime>();
  for (size_t looked_at = 0; looked_at < kLookedAtMax; looked_at += kPage) {
    POLDER_TRY(const auto page, read_page(room, from, query.forwards));
    for (const stores::TimeEntry& entry : page) {
      POLDER_TRY(const HeldEvent held, room.view().load(entry.number));
      POLDER_TRY(const bool shown, may_read(held));
      if (shown)
        return std::optional(
            EventAtTime{entry.number, held.event->id(), held.event->origin_server_ts()});
    }
    if (page.size() < kPage) break;
    from = page.back();
    from.number += query.forwards ? 1 : ~EventNumber{0};  // the place before may be of another time
  }
  return std::optional<EventAtTime>();
}

// "The heuristics will likely be based on whether the closest event is a forward/backward extremity
// indicating it's next to a gap of events which are potentially closer."
Result<bool> may_be_closer_elsewhere(const RoomReader& room, TimeQuery query,
                                     const std::optional<EventAtTime>& found) {
  if (!found) return query.forwards || room.head().record.history_from == 0;
  POLDER_TRY(const HeldEvent held, room.view().load(found->number));
  if (query.forwards) return has_gap_before(room, held);
  const stores::DepthPlace behind = stores::after({held.record.depth, held.record.position});
  POLDER_TRY(const auto next, stores::read_from(room.snapshot(), room.head().number, behind, 1));
  if (next.empty()) return false;
  POLDER_TRY(const HeldEvent after, room.view().load(next.front().number));
  return has_gap_before(room, after);
}

}  // namespace polder::rooms
