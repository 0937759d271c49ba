#include "homeserver/users/receipts.h"

namespace polder::users {
namespace {

constexpr Millis kTypingMax{60'000};

}  // namespace

Task<Status> Receipts::set(stores::UserNumber user, stores::RoomNumber room, std::string type, std::string thread, EventId event) {
  if (type != "m.read" && type != "m.read.private") co_return fail(ErrorCode::kInvalid, "unknown receipt type");
  stores::ReceiptRow row;
  row.user = user;
  row.type = std::move(type);
  row.thread = std::move(thread);
  row.event = std::move(event);
  row.ts_ms = parts_.runtime.clock().wall_ms();
  kv::Batch batch;
  stores::put_receipt(batch, room, row, batch.reserve_position());
  POLDER_CO_CHECK(co_await parts_.committer.commit(std::move(batch)));
  co_return Status();
}

void Typing::expire(Room& room) {
  const auto now = clock_.steady();
  if (std::erase_if(room.until, [&](const auto& entry) { return entry.second <= now; }) > 0) room.changed = ++changes_;
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
  for (const auto& [user, until] : found->second.until) users.push_back(user);
  std::ranges::sort(users);
  return users;
}

}  // namespace polder::users
