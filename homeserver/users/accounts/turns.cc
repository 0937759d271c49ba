#include "homeserver/users/accounts/turns.h"

#include "storage/stores/users/user_rows.h"

namespace polder::users {

Task<Status> UserTurns::change_in_turn(Change change) {
  UserTurns* self = this;
  auto batch = co_await runtime::on_pool(
      parts_.runtime, runtime::Lane::kShort, [self, change]() -> Result<kv::Batch> {
        kv::Batch made;
        POLDER_CHECK(change(*self->parts_.database.snapshot(), made));
        return made;
      });
  if (!batch.ok()) co_return std::move(batch).error();
  if (!batch->empty()) POLDER_CO_CHECK(co_await parts_.committer.commit(*std::move(batch)));
  co_return Status();
}

Task<Status> UserTurns::change(stores::UserNumber user, Change change) {
  auto make = [this, change = std::move(change)] { return change_in_turn(change); };
  co_return co_await queues_.in_turn(user, std::move(make));
}

Task<Status> UserTurns::change_of(const Session& session, Change change) {
  auto make = [user = session.number, device = session.device, change = std::move(change)](
                  const kv::Snapshot& snapshot, kv::Batch& batch) -> Status {
    POLDER_TRY(const auto row, stores::read_device(snapshot, user, device));
    if (!row) return fail(ErrorCode::kUnauthenticated, "the session has ended");
    return change(snapshot, batch);
  };
  return this->change(session.number, std::move(make));
}

}  // namespace polder::users
