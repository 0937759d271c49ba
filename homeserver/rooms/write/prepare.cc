// Local events that are built on the room's edge and not stored yet: another server signs them
// before, or is to send them.
#include "homeserver/rooms/model/refusals.h"
#include "homeserver/rooms/write/permission.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::rooms {

template <class T>
Task<Result<T>> RoomWriter::draft_on_shard(RoomNumber number, LocalEvent event, Finish<T> finish) {
  Room& room = rooms_.room_at(number);
  const auto turn = co_await room.queue.turn();
  POLDER_CO_CHECK(co_await rooms_.begin_turn(room));
  if (!room.exists || !room.record.local_joined)
    co_return fail(ErrorCode::kNotFound, "no such room here");
  RoomWriter* self = this;
  Room* target = &room;
  auto shared = std::make_shared<const LocalEvent>(std::move(event));
  co_return co_await runtime::on_pool(
      parts_.runtime, runtime::Lane::kShort,
      [self, target, shared, finish = std::move(finish)]() -> Result<T> {
        const auto snapshot = self->parts_.database.snapshot();
        RoomView view(*target, *snapshot, self->parts_.names, self->caches_);
        POLDER_TRY(auto built, self->draft(*target, view, *shared));
        return finish(*target, *snapshot, built);
      });
}

template <class T>
Task<Result<T>> RoomWriter::draft_in_room(RoomId room, LocalEvent event, Finish<T> finish) {
  POLDER_CO_TRY(const RoomNumber number, co_await rooms_.number_of(std::move(room)));
  auto make = [this, number, event = std::move(event), finish = std::move(finish)]() mutable {
    return draft_on_shard<T>(number, std::move(event), std::move(finish));
  };
  co_return co_await runtime::on_shard(parts_.runtime, rooms_.shard_of(number), std::move(make));
}

Task<Result<json::Object>> RoomWriter::make_template(RoomId room, LocalEvent event) {
  Finish<json::Object> finish = [this](const Room& target, const kv::Snapshot&,
                                       const events::EventDraft& built) -> Result<json::Object> {
    return events::make_pdu(built, *target.rules, parts_.runtime.random().letters(18));
  };
  co_return co_await draft_in_room(std::move(room), std::move(event), std::move(finish));
}

Task<Result<events::EventPtr>> RoomWriter::prepare(RoomId room, LocalEvent event) {
  Finish<events::EventPtr> finish =
      [this, actor = event.actor](const Room& target, const kv::Snapshot& snapshot,
                                  const events::EventDraft& built) -> Result<events::EventPtr> {
    POLDER_TRY(auto prepared, sign(built, *target.rules));
    const RoomView view(target, snapshot, parts_.names, caches_);
    POLDER_CHECK(permit(target, view, *prepared, actor));
    POLDER_CHECK(check_by_current_state(context_, target, snapshot, *prepared));
    return prepared;
  };
  auto prepared = co_await draft_in_room(std::move(room), std::move(event), std::move(finish));
  if (!prepared.ok() && prepared.error().code == ErrorCode::kNotFound) co_return not_in_room();
  co_return prepared;
}

Task<Result<SentEvent>> RoomWriter::store_prepared(events::EventPtr event) {
  POLDER_CO_TRY(const RoomNumber number, co_await rooms_.number_of(event->room_id()));
  RoomWriter* self = this;
  Rooms::Step step = [self, event](Room& room, const kv::Snapshot& snapshot) -> Result<Staged> {
    if (!room.exists || !room.record.local_joined)
      return fail(ErrorCode::kNotFound, "no such room here");
    const RoomView view(room, snapshot, self->parts_.names, self->caches_);
    POLDER_TRY(const auto known, view.find(event->id()));
    if (known) return fail(ErrorCode::kExists, "the event is stored already");
    StageInput input;
    input.event = event;
    input.origin = Origin::kLocal;
    return stage(self->context_, room, snapshot, std::move(input));
  };
  auto make = [this, number, step = std::move(step)] { return rooms_.change(number, step); };
  POLDER_CO_TRY(const Staged staged, co_await runtime::on_shard(
                                         parts_.runtime, rooms_.shard_of(number), std::move(make)));
  co_return SentEvent{event->id(), staged.stored.record.position};
}

}  // namespace polder::rooms
