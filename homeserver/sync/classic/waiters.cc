#include "homeserver/sync/classic/waiters.h"

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>

#include "storage/stores/rooms/room_rows.h"

namespace polder::sync {

// Touched only on its shard, but for the count.
struct Waiters::Shard {
  static constexpr size_t kRemembered = 1024;

  std::unordered_map<Key, Waiter::Place> heads;
  // The keys that were touched last: a request that looks for changes does not know its rooms yet.
  std::array<Key, kRemembered> log{};
  uint64_t logged = 0;
  std::atomic<size_t> waiters = 0;

  void touch(Key key) {
    log[logged++ % kRemembered] = key;
    const auto head = heads.find(key);
    if (head == heads.end()) return;
    for (Waiter::Place* place = head->second.after; place != &head->second; place = place->after) {
      place->waiter->woken_ = true;
      place->waiter->signal_.notify_all();
    }
  }
};

Waiters::Waiter::Waiter(Waiters& all, stores::UserNumber user)
    : shard_(*all.shards_[all.runtime_.current_shard()]),
      user_(key_of_user(user)),
      signal_(all.runtime_) {
  shard_.waiters.fetch_add(1);
  enter(user_place_, user_);
  begin();
}

Waiters::Waiter::~Waiter() {
  leave_rooms();
  leave(user_place_, user_);
  shard_.waiters.fetch_sub(1);
}

void Waiters::Waiter::enter(Place& place, Key key) {
  const auto [entry, fresh] = shard_.heads.try_emplace(key);
  Place& head = entry->second;
  if (fresh) head.before = head.after = &head;
  place = {&head, head.after, this};
  head.after->before = &place;
  head.after = &place;
}

void Waiters::Waiter::leave(Place& place, Key key) {
  const bool alone = place.before == place.after;
  if (alone) {
    shard_.heads.erase(key);
    return;
  }
  place.before->after = place.after;
  place.after->before = place.before;
}

void Waiters::Waiter::leave_rooms() {
  for (size_t i = 0; i < rooms_.size(); ++i)
    leave(room_places_[i], rooms_[i]);
  rooms_.clear();
  room_places_.clear();
}

void Waiters::Waiter::begin() {
  woken_ = watching_ = false;
  begun_ = shard_.logged;
}

bool Waiters::Waiter::touched() const {
  if (woken_ || watching_) return woken_;
  if (shard_.logged - begun_ > Shard::kRemembered) return true;
  for (uint64_t i = begun_; i < shard_.logged; ++i) {
    const Key key = shard_.log[i % Shard::kRemembered];
    if (key == user_ || std::ranges::binary_search(rooms_, key)) return true;
  }
  return false;
}

void Waiters::Waiter::watch(const std::vector<stores::RoomNumber>& rooms) {
  if (!std::ranges::equal(rooms, rooms_, {}, key_of_room)) enter_rooms(rooms);
  watching_ = false;
  woken_ = touched();
  watching_ = true;
}

void Waiters::Waiter::enter_rooms(const std::vector<stores::RoomNumber>& rooms) {
  leave_rooms();
  rooms_.reserve(rooms.size());
  for (const stores::RoomNumber room : rooms)
    rooms_.push_back(key_of_room(room));
  room_places_.resize(rooms_.size());
  for (size_t i = 0; i < rooms_.size(); ++i)
    enter(room_places_[i], rooms_[i]);
}

Waiters::Waiters(runtime::Runtime& runtime, kv::Database& database, kv::Committer& committer)
    : runtime_(runtime), database_(database), own_answers_(runtime) {
  for (size_t i = 0; i < runtime.shard_count(); ++i)
    shards_.push_back(std::make_unique<Shard>());
  committer.on_committed([this](std::span<const kv::Batch* const> batches) { committed(batches); });
}

Waiters::~Waiters() = default;

void Waiters::committed(std::span<const kv::Batch* const> batches) {
  stores::Touched touched;
  for (const kv::Batch* batch : batches)
    stores::add_touched(*batch, touched);
  if (touched.empty()) return;
  touched.merge();
  touch(std::move(touched));
}

void Waiters::wake_room(stores::RoomNumber room) {
  stores::Touched touched;
  touched.rooms.push_back(room);
  touch(std::move(touched));
}

size_t Waiters::waiting() const {
  size_t all = 0;
  for (const auto& shard : shards_)
    all += shard->waiters.load();
  return all;
}

bool Waiters::nobody_waits() const {
  // Whoever begins to look from here on sees what was committed.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return std::ranges::all_of(shards_, [](const auto& shard) { return shard->waiters.load() == 0; });
}

void Waiters::touch(stores::Touched touched) {
  // Also if nobody waits yet: who begins to look must not see it before the answer has left.
  for (const stores::UserNumber user : touched.members) {
    own_answers_.when_left(user, [this, user] {
      touch_on_shards([user](Shard& shard) { shard.touch(key_of_user(user)); });
    });
  }
  if (nobody_waits()) return;
  if (!touched.device_lists.empty()) {
    runtime::spawn(runtime_, runtime_.shard(0), "wake",
                   touch_sharers(std::move(touched.device_lists)));
  }
  if (touched.rooms.empty() && touched.users.empty()) return;
  const auto shared = std::make_shared<const stores::Touched>(std::move(touched));
  touch_on_shards([shared](Shard& shard) {
    for (const stores::RoomNumber room : shared->rooms)
      shard.touch(key_of_room(room));
    for (const stores::UserNumber user : shared->users)
      shard.touch(key_of_user(user));
  });
}

void Waiters::touch_on_shards(std::function<void(Shard&)> touch) {
  const auto shared = std::make_shared<const std::function<void(Shard&)>>(std::move(touch));
  for (size_t i = 0; i < shards_.size(); ++i) {
    Shard* shard = shards_[i].get();
    if (shard->waiters.load() == 0) continue;
    boost::asio::post(runtime_.shard(i), [shard, shared] { (*shared)(*shard); });
  }
}

Task<void> Waiters::touch_sharers(std::vector<stores::UserNumber> users) {
  auto touched = co_await runtime::on_pool(
      runtime_, [this, users = std::move(users)]() -> Result<stores::Touched> {
        stores::Touched sharers;
        const auto snapshot = database_.snapshot();
        for (const stores::UserNumber user : users) {
          sharers.users.push_back(user);
          POLDER_TRY(const auto rooms, stores::read_rooms_of(*snapshot, user));
          for (const auto& [room, row] : rooms) {
            if (row.membership == stores::Membership::kJoin) sharers.rooms.push_back(room);
          }
        }
        sharers.merge();
        return sharers;
      });
  // What cannot be read now is told with the next change.
  if (touched.ok()) touch(*std::move(touched));
}

}  // namespace polder::sync
