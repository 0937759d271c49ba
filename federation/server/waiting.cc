#include "federation/server/waiting.h"

#include <algorithm>

#include "federation/server/open_room.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::federation_server {
namespace {

constexpr size_t kWaitingMax = 20'000;
constexpr size_t kWaitingOfOriginMax = 1000;
constexpr Millis kFirstPause{2000};
constexpr Millis kPauseMax{120'000};
constexpr int64_t kDropUncheckableAfterMs = 3'600'000;
constexpr int64_t kGiveUpAfterMs = 24 * 3'600'000LL;

bool in_order(const stores::WaitingEvent& a, const stores::WaitingEvent& b) {
  return std::tie(a.depth, a.since_ms, a.event) < std::tie(b.depth, b.since_ms, b.event);
}

bool is_same(const stores::WaitingEvent& a, const stores::WaitingEvent& b) {
  return a.event == b.event && a.origin == b.origin;
}

}  // namespace

Status WaitingEvents::start() {
  POLDER_TRY(auto waiting, stores::read_waiting(*api_.parts.database.snapshot()));
  for (stores::WaitingEvent& event : waiting)
    add(std::move(event));
  return {};
}

Task<Status> WaitingEvents::keep(ServerName origin, events::EventPtr event) {
  stores::WaitingEvent waiting;
  waiting.origin = std::move(origin);
  waiting.event = event->id();
  waiting.room = event->room_id();
  waiting.depth = event->depth();
  waiting.since_ms = api_.runtime().clock().wall_ms();
  std::string pdu = json::write(event->object());
  auto make = [this, waiting, pdu]() mutable { return keep_here(waiting, std::move(pdu)); };
  co_return co_await runtime::on_shard(api_.runtime(), 0, std::move(make));
}

Task<Status> WaitingEvents::keep_here(stores::WaitingEvent waiting, std::string pdu) {
  const auto room = rooms_.find(waiting.room);
  const bool again =
      room != rooms_.end() && std::ranges::any_of(room->second.events, [&](const auto& other) {
        return is_same(other, waiting);
      });
  if (again) co_return Status();
  if (count_ >= kWaitingMax || of_origin(waiting.origin) >= kWaitingOfOriginMax)
    co_return fail(ErrorCode::kTooLarge, "too many events wait");
  kv::Batch batch;
  stores::put_waiting(batch, waiting, pdu);
  add(std::move(waiting));
  POLDER_CO_CHECK(co_await api_.parts.committer.commit(std::move(batch)));
  co_return Status();
}

size_t WaitingEvents::of_origin(const ServerName& origin) const {
  const auto found = by_origin_.find(origin);
  return found == by_origin_.end() ? 0 : found->second;
}

void WaitingEvents::add(stores::WaitingEvent waiting) {
  ++count_;
  ++by_origin_[waiting.origin];
  Room& room = rooms_[waiting.room];
  const RoomId id = waiting.room;
  const auto place = std::ranges::upper_bound(room.events, waiting, in_order);
  room.events.insert(place, std::move(waiting));
  if (std::exchange(room.tried, true)) return;
  runtime::spawn(api_.runtime(), api_.runtime().shard(0), "waiting events", try_room(id));
}

void WaitingEvents::remove(Room& room, const stores::WaitingEvent& waiting) {
  std::erase_if(room.events, [&](const auto& other) { return is_same(other, waiting); });
  --count_;
  if (--by_origin_[waiting.origin] == 0) by_origin_.erase(waiting.origin);
}

Task<void> WaitingEvents::try_room(RoomId id) {
  Room& room = rooms_[id];
  for (Millis pause = kFirstPause; !room.events.empty(); pause = std::min(pause * 2, kPauseMax)) {
    co_await runtime::sleep_for(api_.runtime(), pause);
    const auto events = room.events;  // more may come meanwhile
    for (const stores::WaitingEvent& waiting : events) {
      if (!co_await try_event(waiting)) continue;
      remove(room, waiting);
      pause = kFirstPause;
    }
  }
  rooms_.erase(id);
}

// The event, if it is still for this server.
Task<Result<events::EventPtr>> WaitingEvents::read(stores::WaitingEvent waiting) {
  co_return co_await runtime::on_pool(
      api_.runtime(), [this, waiting]() -> Result<events::EventPtr> {
        const bool entering = api_.writer().entering().find(waiting.room) != nullptr;
        const auto room = open_own_room(api_, waiting.room, waiting.origin);
        if (!room.ok() && entering)
          return fail(ErrorCode::kUnavailable, "the room is being entered");
        if (!room.ok()) return room.error();
        const auto snapshot = api_.parts.database.snapshot();
        POLDER_TRY(const auto pdu, stores::read_waiting_pdu(*snapshot, waiting));
        if (!pdu) return fail(ErrorCode::kNotFound, "it is not there");
        return events::Event::parse(*pdu, *(*room)->head().rules);
      });
}

Task<bool> WaitingEvents::try_event(stores::WaitingEvent waiting) {
  const int64_t waited_ms = api_.runtime().clock().wall_ms() - waiting.since_ms;
  const auto uncheckable =
      waited_ms >= kDropUncheckableAfterMs ? rooms::Uncheckable::kDrop : rooms::Uncheckable::kWait;
  const auto event = co_await read(waiting);
  Status taken;
  if (event.ok()) {
    const auto received = co_await api_.writer().receive(waiting.origin, *event, uncheckable);
    if (!received.ok()) taken = received.error();
  } else {
    taken = event.error();
  }
  const bool passing =
      !taken.ok() && (is_temporary(taken.error()) || is_own_failure(taken.error()));
  if (passing && waited_ms < kGiveUpAfterMs) co_return false;
  if (!taken.ok()) {
    api_.runtime().log().info("pdu_given_up", {{"origin", waiting.origin},
                                               {"room", waiting.room},
                                               {"event", waiting.event},
                                               {"reason", taken.error().message}});
  }
  kv::Batch batch;
  stores::erase_waiting(batch, waiting);
  // If it is lost, the event is tried once more and found to be known.
  const auto erased = co_await api_.parts.committer.commit(std::move(batch), kv::Durability::kLazy);
  co_return erased.ok();
}

}  // namespace polder::federation_server
