// Purging a room's history up to a point. From the beginning on nobody sees it; then, in the
// background, event after event goes, a few in each turn of the room. What others build on stays
// without a place in history: state, whose event authorises others and may be part of their state,
// and redactions of what stays.
#include <algorithm>

#include "homeserver/rooms/upkeep/upkeep.h"
#include "homeserver/rooms/write/relations.h"
#include "storage/stores/rooms/purge_rows.h"
#include "storage/stores/rooms/push_rows.h"
#include "storage/stores/rooms/relation_rows.h"
#include "storage/stores/rooms/time_rows.h"

namespace polder::rooms {
namespace {

using stores::HistoryPurgeRow;

constexpr EventNumber kEventsLookedAt = 100;  // looked at in one turn of the room
constexpr Millis kBreathAfterTurn{5};         // between two turns, for others
constexpr Millis kLater{60'000};              // while states are known in part

// Goes through some events in the room's turn.
class Purging {
 public:
  Purging(const Room& room, const kv::Snapshot& snapshot, const RoomView& view,
          const ServerName& own_name, kv::Batch& batch)
      : room_(room), snapshot_(snapshot), view_(view), own_name_(own_name), batch_(batch) {}

  Status run(HistoryPurgeRow& row) {
    row_ = row;
    const EventNumber end = std::min(row.last, row.reached + kEventsLookedAt);
    while (row.reached < end)
      POLDER_CHECK(look_at(++row.reached));
    return {};
  }

 private:
  // Whether an event has a place in the history that goes. Forward extremities stay.
  bool goes(EventNumber number, const stores::EventRecord& record) const {
    return !record.standing.outlier && record.depth < row_.below &&
           std::ranges::find(room_.record.extremities, number) == room_.record.extremities.end();
  }

  Status look_at(EventNumber number) {
    const stores::EventPlace place{room_.number, number};
    // Its rows are on their way to the disk.
    if (room_.pending.contains(number))
      return fail(ErrorCode::kUnavailable, "an event is changing");
    POLDER_TRY(const auto record, view_.find_record(number));
    if (!record || !goes(number, *record)) return {};
    POLDER_TRY(const HeldEvent held, view_.load(number));
    const events::Event& event = *held.event;
    POLDER_TRY(const bool redacts, release_redacted(number, event));
    POLDER_CHECK(unlist(place, event, *record));
    const bool stays = event.is_state() || redacts ||
                       (!row_.local_too && event.sender().server() == own_name_.view());
    if (!stays) {
      stores::erase_redaction(batch_, place);
      stores::erase_event(batch_, place, event.id());
      return {};
    }
    stores::EventRecord known;
    known.standing.outlier = true;
    known.standing.rejected = record->standing.rejected;
    known.depth = known.room_depth = record->depth;
    known.auth_events = record->auth_events;
    stores::put_event_record(batch_, place, known);
    return {};
  }

  Status unlist(stores::EventPlace place, const events::Event& event,
                const stores::EventRecord& record) {
    stores::erase_from_timelines(batch_, place.room, record);
    stores::erase_event_time(batch_, place, event.origin_server_ts());
    stores::erase_stream_event(batch_, record.position);
    stores::erase_notifying(batch_, place.room, record.position);
    POLDER_TRY(const auto thread, stores::read_thread(snapshot_, place.room, event.id()));
    if (thread) stores::erase_thread(batch_, place.room, event.id());
    if (const auto relates_to = relation_of(event))
      stores::erase_relation(batch_, place.room, relates_to->parent,
                             {record.depth, record.position});
    return {};
  }

  // Whether the event is what redacts another one that stays; of one that goes, it does so no more.
  Result<bool> release_redacted(EventNumber number, const events::Event& event) {
    const auto target_id = event.redacts();
    if (!target_id) return false;
    POLDER_CHECK(
        stores::erase_waiting_redaction(batch_, snapshot_, room_.number, *target_id, number));
    POLDER_TRY(const auto target, view_.find(*target_id));
    if (!target) return false;
    POLDER_TRY(const auto by, stores::read_redaction(snapshot_, {room_.number, *target}));
    if (by != number) return false;
    POLDER_TRY(const HeldEvent held, view_.load(*target));
    const bool erased = goes(*target, held.record) && !held.event->is_state() &&
                        (row_.local_too || held.event->sender().server() != own_name_.view());
    if (erased) stores::erase_redaction(batch_, {room_.number, *target});
    return !erased;
  }

  const Room& room_;
  const kv::Snapshot& snapshot_;
  const RoomView& view_;
  const ServerName& own_name_;
  kv::Batch& batch_;
  HistoryPurgeRow row_;
};

// Nothing is done where it is not known yet what a state is: events that go may be needed for it.
Status check_purgeable(const Room& room) {
  if (!room.exists) return fail(ErrorCode::kNotFound, "no such room here");
  if (room.record.partial)
    return fail(ErrorCode::kUnavailable, "the room's state is not known in full yet");
  return {};
}

}  // namespace

Task<Result<int64_t>> RoomUpkeep::purge_history(RoomId room, HistoryPoint point,
                                                policy::Actor actor) {
  POLDER_CO_TRY(const RoomNumber number, co_await rooms_.number_of(std::move(room)));
  auto make = [this, number, point, actor] { return begin_history_purge(number, point, actor); };
  co_return co_await runtime::on_shard(parts_.runtime, rooms_.shard_of(number), std::move(make));
}

Task<Result<int64_t>> RoomUpkeep::begin_history_purge(RoomNumber number, HistoryPoint point,
                                                      policy::Actor actor) {
  const auto begun = std::make_shared<HistoryPurgeRow>();
  RoomUpkeep* self = this;
  Rooms::Step step = [self, begun, point, actor](Room& room,
                                                 const kv::Snapshot& snapshot) -> Result<Staged> {
    POLDER_CHECK(check_purgeable(room));
    Staged staged;
    POLDER_CHECK(self->writer_.permit_with(
        snapshot,
        {.point = policy::Point::kPurge, .room = room.record.id.str(), .target = point.up_to.str()},
        actor, staged.batch));
    const RoomView view(room, snapshot, self->parts_.names, self->caches_);
    POLDER_TRY(const auto found, view.find(point.up_to));
    if (!found) return fail(ErrorCode::kNotFound, "no such event in the room");
    POLDER_TRY(const auto record, view.record(*found));
    if (record.standing.outlier)
      return fail(ErrorCode::kNotFound, "the event has no place in the room's history");
    POLDER_TRY(const auto before, stores::read_history_purge(snapshot, room.number));
    if (before && !before->done) return fail(ErrorCode::kExists, "a purge is under way");
    begun->below = std::max(record.depth, room.record.history_from);
    begun->local_too = point.local_too;
    begun->last = room.record.last_event;
    room.record.history_from = begun->below;
    stores::put_history_purge(staged.batch, room.number, *begun);
    stores::put_room(staged.batch, room.number, room.record);
    return staged;
  };
  POLDER_CO_CHECK(co_await rooms_.change(number, std::move(step)));
  runtime::spawn(parts_.runtime, parts_.runtime.shard(rooms_.shard_of(number)), "purge_history",
                 erase_history_and_tell(number));
  co_return begun->below;
}

Task<Status> RoomUpkeep::erase_history(RoomNumber number) {
  const auto row = std::make_shared<HistoryPurgeRow>();
  RoomUpkeep* self = this;
  Rooms::Step step = [self, row](Room& room, const kv::Snapshot& snapshot) -> Result<Staged> {
    POLDER_CHECK(check_purgeable(room));
    POLDER_TRY(const auto stored, stores::read_history_purge(snapshot, room.number));
    if (!stored) return fail(ErrorCode::kNotFound, "no purge is under way");
    *row = *stored;
    Staged staged;
    staged.erases = true;
    const RoomView view(room, snapshot, self->parts_.names, self->caches_);
    POLDER_CHECK(Purging(room, snapshot, view, self->parts_.own_name, staged.batch).run(*row));
    stores::put_history_purge(staged.batch, room.number, *row);
    return staged;
  };
  while (row->last == 0 || row->reached < row->last) {
    const auto staged = co_await rooms_.change(number, step);
    const bool later = !staged.ok() && staged.error().code == ErrorCode::kUnavailable;
    if (!staged.ok() && !later) co_return staged.error();
    co_await runtime::sleep_for(parts_.runtime, later ? kLater : kBreathAfterTurn);
  }
  POLDER_CO_CHECK(co_await erase_old_highlights(number));
  row->done = true;
  kv::Batch batch;
  stores::put_history_purge(batch, number, *row);
  POLDER_CO_CHECK(co_await parts_.committer.commit(std::move(batch)));
  co_return co_await runtime::on_pool(
      parts_.runtime, runtime::Lane::kLong, [self, number]() -> Status {
        for (const auto& [column, range] : stores::ranges_of_room(number))
          POLDER_CHECK(self->parts_.database.compact(column, range));
        return {};
      });
}

Task<Status> RoomUpkeep::erase_old_highlights(RoomNumber number) {
  const auto cursor = std::make_shared<std::string>();
  const auto more = std::make_shared<bool>(true);
  RoomUpkeep* self = this;
  while (*more) {
    POLDER_CO_TRY(auto batch, co_await runtime::on_pool(
                                  parts_.runtime, runtime::Lane::kLong,
                                  [self, number, cursor, more]() -> Result<kv::Batch> {
                                    kv::Batch erased;
                                    POLDER_TRY(*more, stores::erase_highlights(
                                                          *self->parts_.database.snapshot(), erased,
                                                          number, *cursor));
                                    return erased;
                                  }));
    if (!batch.empty()) POLDER_CO_CHECK(co_await parts_.committer.commit(std::move(batch)));
    co_await runtime::sleep_for(parts_.runtime, kBreathAfterTurn);
  }
  co_return Status();
}

Task<void> RoomUpkeep::erase_history_and_tell(RoomNumber number) {
  const Status done = co_await erase_history(number);
  const auto room = static_cast<int64_t>(number);
  if (done.ok()) {
    parts_.runtime.log().info("history_purged", {{"room", room}});
  } else {
    parts_.runtime.log().error("history_purge_failed",
                               {{"room", room}, {"reason", done.error().message}});
  }
}

Result<std::optional<bool>> RoomUpkeep::is_history_purged(const RoomId& room, int64_t below) const {
  POLDER_TRY(const auto number, rooms_.source().find(room));
  if (!number) return std::optional<bool>();
  POLDER_TRY(const auto row, stores::read_history_purge(*parts_.database.snapshot(), *number));
  if (!row || row->below < below) return std::optional<bool>();
  return std::optional(row->done || row->below > below);
}

}  // namespace polder::rooms
