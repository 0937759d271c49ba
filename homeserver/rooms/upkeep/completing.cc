// Asks for what is lacking of states that are known in part, in the background, until all is there.
#include <algorithm>

#include "homeserver/rooms/turns/enqueued.h"
#include "homeserver/rooms/upkeep/completion.h"
#include "homeserver/rooms/upkeep/upkeep.h"

namespace polder::rooms {
namespace {

constexpr size_t kEventsATurn = 50;  // put right in one turn of the room
constexpr size_t kServersAsked = 5;
constexpr Millis kFirstPause{2000};
constexpr Millis kPauseMax{120'000};
// Some servers are gone for good: what only they could tell or vouch for is then no part of the
// state.
constexpr int64_t kDropUncheckableAfterMs = 3'600'000;
constexpr int64_t kGiveUpAfterMs = 24 * 3'600'000LL;

}  // namespace

Status RoomUpkeep::start() {
  return stores::for_each_room(*parts_.database.snapshot(),
                               [this](RoomNumber room, const stores::RoomRecord& record) {
                                 if (record.partial) complete_later(room);
                                 return Status();
                               });
}

void RoomUpkeep::keep_rest(RoomNumber room, EventNumber event, ReceivedStatePtr rest) {
  shards_[rooms_.shard_of(room)]->rests[room] = {event, std::move(rest)};
}

void RoomUpkeep::complete_later(RoomNumber number) {
  runtime::spawn(parts_.runtime, parts_.runtime.shard(rooms_.shard_of(number)), "complete_state",
                 complete(number));
}

// On the room's shard. One task for each room: who comes second makes the first look again.
Task<void> RoomUpkeep::complete(RoomNumber number) {
  auto& completing = shards_[rooms_.shard_of(number)]->completing;
  if (const auto [entry, added] = completing.emplace(number, false); !added) {
    entry->second = true;
    co_return;
  }
  for (Millis pause = kFirstPause;; pause = std::min(pause * 2, kPauseMax)) {
    completing[number] = false;
    const auto done = co_await complete_once(number);
    if (!done.ok()) {
      parts_.runtime.jobs().failed("complete_state", done.error(),
                                   parts_.runtime.clock().wall_ms());
      parts_.runtime.log().info("state_not_completed", {{"room", static_cast<int64_t>(number)},
                                                        {"reason", done.error().message}});
    }
    if (completing[number]) {
      pause = kFirstPause;
      continue;
    }
    if (done.ok() && *done) break;
    co_await runtime::sleep_for(parts_.runtime, pause);
  }
  completing.erase(number);
  shards_[rooms_.shard_of(number)]->rests.erase(number);
}

Task<Result<bool>> RoomUpkeep::complete_once(RoomNumber number) {
  const RoomHeadPtr head = rooms_.head(number);
  // A room that this server left is as it was then; entering it again begins anew.
  if (!head || !head->record.local_joined) co_return true;
  RoomUpkeep* self = this;
  POLDER_CO_TRY(const auto origins,
                co_await runtime::on_pool(parts_.runtime, runtime::Lane::kLong, [self, number] {
                  return stores::read_partial_origins(*self->parts_.database.snapshot(), number);
                }));
  auto whole = std::make_shared<std::map<EventNumber, stores::StateRoot>>();
  for (const auto& [event, origin] : origins) {
    auto root = co_await store_rest(number, event);
    if (!root.ok()) root = co_await whole_state(number, event, origin);
    if (root.ok()) whole->emplace(event, *root);
  }
  for (;;) {
    Room& room = rooms_.room_at(number);
    std::shared_ptr<Enqueued> enqueued;
    bool done = false;
    {
      const auto turn = co_await room.queue.turn();
      POLDER_CO_CHECK(co_await rooms_.begin_turn(room));
      Room* target = &room;
      POLDER_CO_TRY(
          auto completion,
          co_await runtime::on_pool(parts_.runtime, runtime::Lane::kLong, [self, target, whole] {
            return stage_completion(self->context_, *target, *self->parts_.database.snapshot(),
                                    *whole, kEventsATurn);
          }));
      done = completion.done;
      if (completion.staged.empty()) co_return done;
      enqueued = rooms_.enqueue_all(room, std::move(completion.staged));
    }
    POLDER_CO_CHECK(co_await rooms_.finish(std::move(enqueued)));
    if (done) co_return true;
  }
}

// The rest of the state that came when this server entered the room; kNotFound if nothing is left
// of it, or there never was any.
Task<Result<stores::StateRoot>> RoomUpkeep::store_rest(RoomNumber number, EventNumber event) {
  auto& rests = shards_[rooms_.shard_of(number)]->rests;
  const auto found = rests.find(number);
  if (found == rests.end()) co_return fail(ErrorCode::kNotFound, "nothing is left to take");
  const auto [entry, rest] = found->second;
  rests.erase(found);
  if (entry != event) co_return fail(ErrorCode::kNotFound, "the rest of an earlier entry");
  co_return co_await writer_.store_received(number, rest, Uncheckable::kWait);
}

// The state before an event that came with a part of it, as other servers know it.
Task<Result<stores::StateRoot>> RoomUpkeep::whole_state(RoomNumber number, EventNumber event,
                                                        stores::PartialOrigin origin) {
  const RoomHeadPtr head = rooms_.head(number);
  RoomUpkeep* self = this;
  POLDER_CO_TRY(
      const HeldEvent held,
      co_await runtime::on_pool(parts_.runtime, runtime::Lane::kLong, [self, head, event] {
        return StoredRoom(self->rooms_.source(), *head, Content::kAsVisible).view().load(event);
      }));
  const int64_t waited_ms = parts_.runtime.clock().wall_ms() - origin.since_ms;
  const auto uncheckable =
      waited_ms >= kDropUncheckableAfterMs ? Uncheckable::kDrop : Uncheckable::kWait;
  Error failure = fail(ErrorCode::kUnavailable, "no server is known that could tell the state");
  size_t asked = 0;
  for (const ServerName& server : origin.servers) {
    if (server == parts_.own_name || asked++ == kServersAsked) continue;
    auto root = co_await writer_.fetch_state_before({server, uncheckable}, held.event, number);
    if (root.ok()) co_return root;
    failure = std::move(root).error();
  }
  if (waited_ms >= kGiveUpAfterMs) co_return held.record.state_before;
  co_return failure;
}

}  // namespace polder::rooms
