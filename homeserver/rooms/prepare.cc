// Local events that another server signs before they are stored.
#include "homeserver/rooms/engine.h"
#include "homeserver/rooms/enqueued.h"

namespace polder::rooms {

Task<Result<events::EventPtr>> RoomEngine::prepare_on_shard(RoomNumber number, LocalEvent event) {
  Room& room = room_at(shard_of(number), number);
  const auto turn = co_await room.queue.turn();
  POLDER_CO_CHECK(co_await begin_turn(room));
  if (!room.exists || !room.record.local_joined)
    co_return fail(ErrorCode::kNotFound, "no such room here");
  RoomEngine* self = this;
  Room* target = &room;
  auto shared = std::make_shared<const LocalEvent>(std::move(event));
  co_return co_await runtime::on_pool(
      parts_.runtime, [self, target, shared]() -> Result<events::EventPtr> {
        const auto snapshot = self->parts_.database.snapshot();
        RoomView view(*target, *snapshot, self->parts_.names, self->caches_);
        POLDER_TRY(const auto built, self->draft(*target, view, *shared));
        POLDER_TRY(auto prepared, self->sign(built, *target->rules));
        POLDER_CHECK(check_by_current_state(self->context_, *target, *snapshot, *prepared));
        return prepared;
      });
}

Task<Result<events::EventPtr>> RoomEngine::prepare(RoomId room, LocalEvent event) {
  POLDER_CO_TRY(const RoomNumber number, co_await number_of(std::move(room)));
  auto make = [this, number, event = std::move(event)]() mutable {
    return prepare_on_shard(number, std::move(event));
  };
  co_return co_await runtime::on_shard(parts_.runtime, shard_of(number), std::move(make));
}

Task<Result<SentEvent>> RoomEngine::store_prepared(events::EventPtr event) {
  POLDER_CO_TRY(const RoomNumber number, co_await number_of(event->room_id()));
  RoomEngine* self = this;
  Step step = [self, event](Room& room, const kv::Snapshot& snapshot) -> Result<Staged> {
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
  auto make = [this, number, step = std::move(step)] { return change(number, step); };
  POLDER_CO_TRY(const Staged staged,
                co_await runtime::on_shard(parts_.runtime, shard_of(number), std::move(make)));
  co_return SentEvent{event->id(), staged.stored.record.position};
}

}  // namespace polder::rooms
