#include "homeserver/sync/classic/sync.h"

#include <boost/asio/post.hpp>

#include "homeserver/sync/classic/response.h"
#include "homeserver/sync/classic/tokens.h"

namespace polder::sync {
// One request that waits, registered for its user and rooms until it dies.
struct Sync::Waiter {
  Waiter(runtime::Runtime& runtime, Shard& home, stores::UserNumber number)
      : shard(home), user(number), signal(runtime) {
    shard.users.emplace(user, this);
  }
  ~Waiter() {
    erase(shard.users, user);
    for (const auto room : rooms)
      erase(shard.rooms, room);
  }
  void watch(const std::vector<stores::RoomNumber>& joined) {
    for (const auto room : rooms)
      erase(shard.rooms, room);
    rooms = joined;
    for (const auto room : rooms)
      shard.rooms.emplace(room, this);
  }
  void wake() {
    woken = true;
    signal.notify_all();
  }

  Shard& shard;
  const stores::UserNumber user;
  std::vector<stores::RoomNumber> rooms;
  runtime::Signal signal;
  bool woken = false;

 private:
  template <class Map>
  void erase(Map& map, typename Map::key_type key) {
    const auto [first, last] = map.equal_range(key);
    for (auto entry = first; entry != last; ++entry) {
      if (entry->second != this) continue;
      map.erase(entry);
      return;
    }
  }
};

namespace {

using More = std::function<Result<std::optional<std::string>>()>;

Task<Result<std::optional<std::string>>> next_piece(runtime::Runtime& runtime, More more) {
  co_return co_await runtime::on_pool(runtime, std::move(more));
}

}  // namespace

Sync::Sync(Services services)
    : services_(services), shards_(services.rooms.parts().runtime.shard_count()) {
  services_.rooms.add_observer(*this);
}
Sync::~Sync() = default;

void Sync::wake_on_shards(std::optional<stores::RoomNumber> room,
                          std::vector<stores::UserNumber> users) {
  runtime::Runtime& runtime = services_.rooms.parts().runtime;
  for (size_t i = 0; i < shards_.size(); ++i) {
    boost::asio::post(runtime.shard(i), [this, i, room, users] {
      const auto wake_all = [](auto& map, auto key) {
        const auto [first, last] = map.equal_range(key);
        for (auto entry = first; entry != last; ++entry)
          entry->second->wake();
      };
      if (room) wake_all(shards_[i].rooms, *room);
      for (const auto user : users)
        wake_all(shards_[i].users, user);
    });
  }
}

void Sync::wake(stores::UserNumber user) {
  wake_on_shards(std::nullopt, std::vector<stores::UserNumber>(1, user));
}

void Sync::wake_room(stores::RoomNumber room) {
  wake_on_shards(room, {});
}

void Sync::typing_changed(stores::RoomNumber room, Millis lasts) {
  wake_room(room);
  // Nobody says so when it ends by itself.
  services_.rooms.parts().runtime.after(lasts + Millis(1), [this, room] { wake_room(room); });
}

void Sync::wake_all_of(stores::UserNumber user) {
  wake(user);
  const auto rooms = stores::read_rooms_of(*services_.rooms.parts().database.snapshot(), user);
  if (!rooms.ok()) return;
  for (const auto& [room, row] : *rooms) {
    if (row.membership == stores::Membership::kJoin) wake_room(room);
  }
}

void Sync::committed(const rooms::StoredEvent& event, rooms::Verdict verdict,
                     const std::vector<rooms::StateChange>& changes) {
  if (verdict != rooms::Verdict::kAccepted && changes.empty()) return;
  std::vector<stores::UserNumber> users;
  for (const rooms::StateChange& change : changes) {
    if (change.type != "m.room.member") continue;
    const auto number = services_.rooms.parts().names.find(stores::NameKind::kUser, change.key);
    if (number.ok() && *number) users.push_back(**number);
  }
  wake_on_shards(event.place.room, std::move(users));
}

void Sync::committed_outside(const rooms::OutsideMembership& membership) {
  const auto number =
      services_.rooms.parts().names.find(stores::NameKind::kUser, membership.user.view());
  if (number.ok() && *number) wake(**number);
}

Task<Result<SyncResponse>> Sync::run(SyncRequest request) {
  runtime::Runtime& runtime = services_.rooms.parts().runtime;
  const auto deadline = runtime.clock().steady() + request.timeout;
  // A token of another version means: from the beginning.
  const auto since = parse_stream_token(request.since);
  if (since) services_.device_keys.acknowledge(request.number, request.device, since->to_device);
  Waiter waiter(runtime, shards_[runtime.current_shard()], request.number);
  auto shared = std::make_shared<const SyncRequest>(std::move(request));
  const Services* services = &services_;
  for (;;) {
    waiter.woken = false;
    auto answer = co_await runtime::on_pool(
        runtime, [services, shared, since] { return build_response(*services, shared, since); });
    if (!answer.ok()) co_return std::move(answer).error();
    const auto left = std::chrono::duration_cast<Millis>(deadline - runtime.clock().steady());
    if (!answer->empty || !since || shared->full_state || left <= Millis(0)) {
      SyncResponse response{std::move(answer->text), {}};
      if (answer->more) {
        response.more = [&runtime, more = std::move(answer->more)] {
          return next_piece(runtime, more);
        };
      }
      co_return response;
    }
    waiter.watch(answer->joined);
    // A change between the snapshot and the registration would wake nobody: look once more.
    if (!waiter.woken && unchanged_since(answer->next)) co_await waiter.signal.wait_for(left);
  }
}

bool Sync::unchanged_since(const StreamToken& token) const {
  return services_.rooms.parts().committer.visible() == token.position &&
         services_.typing.changes() == token.typing_changes;
}

}  // namespace polder::sync
