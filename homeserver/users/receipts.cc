#include "homeserver/users/receipts.h"

namespace polder::users {
namespace {

constexpr Millis kTypingMax{60'000};

}  // namespace

Task<Status> Receipts::set(stores::UserNumber user, stores::RoomNumber room, std::string type,
                           std::string thread, EventId event, std::optional<int64_t> ts_ms) {
  if (type != "m.read" && type != "m.read.private")
    co_return fail(ErrorCode::kInvalid, "unknown receipt type");
  const Receipts* self = this;
  POLDER_CO_TRY(const auto replaced,
                co_await runtime::on_pool(parts_.runtime, [self, room, user, type, thread] {
                  return stores::read_receipt(*self->parts_.database.snapshot(), room, user, type,
                                              thread);
                }));
  if (replaced && replaced->event == event) co_return Status();
  stores::ReceiptRow row;
  row.user = user;
  row.type = std::move(type);
  row.thread = std::move(thread);
  row.event = std::move(event);
  row.ts_ms = ts_ms.value_or(parts_.runtime.clock().wall_ms());
  kv::Batch batch;
  const auto slot = batch.reserve_position();
  stores::put_receipt(batch, room, row, slot,
                      replaced ? std::optional(replaced->position) : std::nullopt);
  Receipts* table = this;
  POLDER_CO_CHECK(co_await parts_.committer.commit(std::move(batch), kv::Durability::kDurable,
                                                   [table, room, slot](kv::Committed positions) {
                                                     const std::lock_guard lock(table->mutex_);
                                                     kv::Position& last = table->last_[room];
                                                     last = std::max(last, positions.at(slot));
                                                   }));
  co_return Status();
}

kv::Position Receipts::last(stores::RoomNumber room) const {
  const std::lock_guard lock(mutex_);
  const auto found = last_.find(room);
  return found == last_.end() ? at_start_ : found->second;
}

void Typing::expire(Room& room) {
  const auto now = clock_.steady();
  if (std::erase_if(room.until, [&](const auto& entry) { return entry.second <= now; }) > 0)
    room.changed = ++changes_;
}

void Typing::set(stores::RoomNumber room, const UserId& user, Millis timeout) {
  const std::lock_guard lock(mutex_);
  Room& typing = rooms_[room];
  expire(typing);
  typing.until[user] = clock_.steady() + std::min(timeout, kTypingMax);
  typing.changed = ++changes_;
}

void Typing::clear(stores::RoomNumber room, const UserId& user) {
  const std::lock_guard lock(mutex_);
  Room& typing = rooms_[room];
  expire(typing);
  if (typing.until.erase(user) > 0) typing.changed = ++changes_;
}

uint64_t Typing::changes() const {
  const std::lock_guard lock(mutex_);
  return changes_;
}

std::optional<std::vector<UserId>> Typing::typing_since(stores::RoomNumber room, uint64_t changes) {
  const std::lock_guard lock(mutex_);
  const auto found = rooms_.find(room);
  if (found == rooms_.end()) return std::nullopt;
  expire(found->second);
  if (found->second.changed <= changes) return std::nullopt;
  std::vector<UserId> users;
  for (const auto& [user, until] : found->second.until)
    users.push_back(user);
  std::ranges::sort(users);
  return users;
}

}  // namespace polder::users
