#include "homeserver/users/data/receipts.h"

#include <algorithm>

#include "homeserver/users/data/read_order.h"

namespace polder::users {
namespace {

constexpr std::string_view kMainThread = "main";
constexpr Millis kTypingMax{60'000};

// What a new receipt takes the place of.
struct Replaced {
  std::optional<kv::Position> position;      // of the receipt of the same thread
  bool stays = false;                        // that one is at the same event, or at a newer one
  std::vector<stores::ReceiptRow> outdated;  // of other threads, that were too many
};

Result<Replaced> find_replaced(const kv::Snapshot& snapshot, stores::UserNumber user,
                               stores::RoomNumber room, const NewReceipt& receipt) {
  Replaced replaced;
  POLDER_TRY(const auto known,
             stores::read_receipt(snapshot, room, user, receipt.type, receipt.thread));
  if (known) {
    replaced.position = known->position;
    POLDER_TRY(const bool moves, goes_on(snapshot, room, known->event, receipt.event));
    replaced.stays = !moves;
  }
  if (known || receipt.thread.empty()) return replaced;
  POLDER_TRY(auto others, stores::read_receipts_of(snapshot, room, user));
  std::erase_if(others, [&](const stores::ReceiptRow& row) {
    return row.type != receipt.type || row.thread.empty() || row.thread == kMainThread;
  });
  const size_t most = receipt.ts_ms ? kThreadsReadByOthersMax : kThreadsReadMax;
  if (others.size() < most) return replaced;
  std::ranges::sort(others, {}, &stores::ReceiptRow::position);
  others.resize(others.size() + 1 - most);
  replaced.outdated = std::move(others);
  return replaced;
}

}  // namespace

Task<Result<bool>> Receipts::set(stores::UserNumber user, stores::RoomNumber room,
                                 NewReceipt receipt) {
  if (receipt.type != "m.read" && receipt.type != "m.read.private")
    co_return fail(ErrorCode::kInvalid, "unknown receipt type");
  if (receipt.thread.size() > kThreadIdBytesMax)
    co_return fail(ErrorCode::kInvalid, "thread_id is too long");
  auto make = [this, user, room, receipt = std::move(receipt)] {
    return set_in_turn(user, room, receipt);
  };
  co_return co_await queues_.in_turn(user, std::move(make));
}

Task<Result<bool>> Receipts::set_in_turn(stores::UserNumber user, stores::RoomNumber room,
                                         NewReceipt receipt) {
  const Receipts* self = this;
  auto shared = std::make_shared<const NewReceipt>(std::move(receipt));
  POLDER_CO_TRY(const Replaced replaced,
                co_await runtime::on_pool(parts_.runtime, [self, user, room, shared] {
                  return find_replaced(*self->parts_.database.snapshot(), user, room, *shared);
                }));
  if (replaced.stays) co_return false;
  stores::ReceiptRow row;
  row.user = user;
  row.type = shared->type;
  row.thread = shared->thread;
  row.event = shared->event;
  row.ts_ms = shared->ts_ms.value_or(parts_.runtime.clock().wall_ms());
  kv::Batch batch;
  for (const stores::ReceiptRow& old : replaced.outdated)
    stores::erase_receipt(batch, room, old);
  const auto slot = batch.reserve_position();
  stores::put_receipt(batch, room, row, slot, replaced.position);
  Receipts* table = this;
  POLDER_CO_CHECK(co_await parts_.committer.commit(std::move(batch), kv::Durability::kDurable,
                                                   [table, room, slot](kv::Committed positions) {
                                                     const base::Lock lock(table->mutex_);
                                                     kv::Position& last = table->last_[room];
                                                     last = std::max(last, positions.at(slot));
                                                   }));
  co_return true;
}

kv::Position Receipts::last(stores::RoomNumber room) const {
  const base::Lock lock(mutex_);
  const auto found = last_.find(room);
  return found == last_.end() ? at_start_ : found->second;
}

void Typing::expire(Room& room) {
  const auto now = clock_.steady();
  if (std::erase_if(room.until, [&](const auto& entry) { return entry.second <= now; }) > 0)
    room.changed = ++changes_;
}

void Typing::tell(stores::RoomNumber room, Millis lasts) const {
  for (const Observer& observer : observers_)
    observer(room, lasts);
}

void Typing::set(stores::RoomNumber room, const UserId& user, Millis timeout) {
  const Millis lasts = std::min(timeout, kTypingMax);
  {
    const base::Lock lock(mutex_);
    Room& typing = rooms_[room];
    expire(typing);
    typing.until[user] = clock_.steady() + lasts;
    typing.changed = ++changes_;
  }
  tell(room, lasts);
}

void Typing::clear(stores::RoomNumber room, const UserId& user) {
  {
    const base::Lock lock(mutex_);
    const auto typing = rooms_.find(room);
    if (typing == rooms_.end()) return;
    expire(typing->second);
    if (typing->second.until.erase(user) == 0) return;
    typing->second.changed = ++changes_;
  }
  tell(room, Millis(0));
}

uint64_t Typing::changes() const {
  const base::Lock lock(mutex_);
  return changes_;
}

std::optional<std::vector<UserId>> Typing::typing_since(stores::RoomNumber room, uint64_t changes) {
  const base::Lock lock(mutex_);
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
