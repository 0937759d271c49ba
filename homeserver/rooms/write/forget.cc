// Forgetting rooms.
#include "homeserver/rooms/write/writer.h"

namespace polder::rooms {
namespace {

using stores::Membership;

Result<kv::Batch> stage_forgetting(const RoomContent& content, const stores::RoomRecord& record,
                                   const RoomView& view, const UserId& user) {
  POLDER_TRY(const auto number, view.names().find(stores::NameKind::kUser, user.view()));
  std::optional<stores::MembershipRow> row;
  if (number) {
    POLDER_TRY(row, stores::read_membership(view.snapshot(), *number, content.number));
  }
  if (!row) return fail(ErrorCode::kNotFound, "the user was never in the room");
  if (row->membership != Membership::kLeave && row->membership != Membership::kBan)
    return fail(ErrorCode::kExists, "the user is still in the room");
  // What was staged since wins: its row, which the snapshot does not have, must not be lost.
  POLDER_TRY(const auto current, view.state_number(record.state, "m.room.member", user.view()));
  if (row->event != 0 && current && *current != row->event)
    return fail(ErrorCode::kExists, "the user is entering the room");
  row->forgotten = true;
  kv::Batch batch;
  stores::put_membership(batch, *number, content.number, *row, std::nullopt);
  return batch;
}

}  // namespace

Task<Status> RoomWriter::forget_on_shard(RoomNumber number, UserId user) {
  Room& room = rooms_.room_at(number);
  const auto turn = co_await room.queue.turn();
  POLDER_CO_CHECK(co_await rooms_.begin_turn(room));
  RoomWriter* self = this;
  Room* target = &room;
  POLDER_CO_TRY(
      auto batch,
      co_await runtime::on_pool(parts_.runtime, runtime::Lane::kShort, [self, target, user] {
        const auto snapshot = self->parts_.database.snapshot();
        const RoomView view(*target, *snapshot, self->parts_.names, self->caches_);
        return stage_forgetting(*target, target->record, view, user);
      }));
  const auto committed = co_await parts_.committer.commit(std::move(batch));
  co_return committed.ok() ? Status() : Status(committed.error());
}

Task<Status> RoomWriter::forget(RoomId room, UserId user) {
  POLDER_CO_TRY(const RoomNumber number, co_await rooms_.number_of(std::move(room)));
  auto make = [this, number, user] { return forget_on_shard(number, user); };
  co_return co_await runtime::on_shard(parts_.runtime, rooms_.shard_of(number), std::move(make));
}

}  // namespace polder::rooms
