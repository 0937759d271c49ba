// States of other servers: fetched, verified and stored, a bounded number of events at a
// time.
#include <algorithm>
#include <span>
#include <unordered_set>

#include "homeserver/rooms/turns/enqueued.h"
#include "homeserver/rooms/write/auth_order.h"
#include "homeserver/rooms/write/pieces.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::rooms {
namespace {

constexpr size_t kStateEventsMax = 1'000'000;  // of one fetched state, auth chain included
constexpr size_t kStateIdsFetchMax = 100;      // beyond, the whole state is asked for
constexpr size_t kVerifiedAtOnce = 1024;       // events of a received state
constexpr size_t kStoredAtOnce = 128;          // outliers, in one turn of the room
constexpr size_t kStateEntriesAtOnce = 1000;   // in one turn of the room
constexpr size_t kLookedUpAtOnce = 2000;       // ids, outside of the room's turns

// Each event after those of its auth events that are in the list; duplicates go.
std::vector<events::EventPtr> in_auth_order(const std::vector<events::EventPtr>& events) {
  std::unordered_map<EventId, uint32_t> places;
  std::optional<uint32_t> create;
  for (uint32_t i = 0; i < events.size(); ++i) {
    places.emplace(events[i]->id(), i);
    if (events[i]->is_state("m.room.create", "")) create = i;
  }
  AuthPlaces auth_events(events.size());
  for (uint32_t i = 0; i < events.size(); ++i) {
    for (const EventId& id : events[i]->auth_events()) {
      if (const auto found = places.find(id); found != places.end())
        auth_events[i].push_back(found->second);
    }
  }
  std::vector<events::EventPtr> ordered;
  for (const uint32_t place : auth_order(auth_events, create)) {
    if (places.at(events[place]->id()) == place) ordered.push_back(events[place]);
  }
  return ordered;
}

// Those of the events that are not here yet and whose auth events are; but what strangers sent in
// vain.
Result<std::vector<Staged>> stage_outliers(const StageContext& context, Room& room,
                                           const kv::Snapshot& snapshot,
                                           std::span<const events::EventPtr> events) {
  std::vector<Staged> all;
  for (const events::EventPtr& event : events) {
    const RoomView view(room, snapshot, context.names, context.caches);
    POLDER_TRY(const auto known, view.find(event->id()));
    if (known) continue;
    auto staged = stage_outlier(context, room, snapshot, event);
    if (staged.ok()) {
      all.push_back(*std::move(staged));
    } else if (staged.error().code != ErrorCode::kMissing &&
               staged.error().code != ErrorCode::kForbidden) {
      return std::move(staged).error();
    }
  }
  return all;
}

}  // namespace

Task<Status> RoomWriter::store_outliers(RoomNumber number, std::vector<events::EventPtr> events) {
  const auto ordered = std::make_shared<const std::vector<events::EventPtr>>(in_auth_order(events));
  RoomWriter* self = this;
  std::shared_ptr<Enqueued> last;
  for (size_t first = 0; first < ordered->size(); first += kStoredAtOnce) {
    const size_t count = std::min(kStoredAtOnce, ordered->size() - first);
    Room& room = rooms_.room_at(number);
    std::shared_ptr<Enqueued> enqueued;
    {
      const auto turn = co_await room.queue.turn();
      POLDER_CO_CHECK(co_await rooms_.begin_turn(room));
      Room* target = &room;
      auto staged = co_await runtime::on_pool(parts_.runtime, runtime::Lane::kLong, [=] {
        return stage_outliers(self->context_, *target, *self->parts_.database.snapshot(),
                              std::span(*ordered).subspan(first, count));
      });
      if (!staged.ok()) {
        room.failed = true;  // what was staged is void
        co_return std::move(staged).error();
      }
      if (!staged->empty()) enqueued = rooms_.enqueue_all(room, *std::move(staged));
    }
    // One batch is on its way to the disk while the next is staged, not more.
    if (last) POLDER_CO_CHECK(co_await rooms_.finish(std::exchange(last, nullptr)));
    last = std::move(enqueued);
  }
  if (last) POLDER_CO_CHECK(co_await rooms_.finish(std::move(last)));
  co_return Status();
}

Task<ReceivedStatePtr> RoomWriter::sort(RemoteState state, const events::RoomVersionRules& rules,
                                        RoomId room) {
  const auto sorted = std::make_shared<ReceivedState>(rules, std::move(room), std::move(state));
  co_await for_each_on_pool(parts_.runtime, sorted->size(),
                            [sorted](size_t i) { sorted->read_one(i); });
  co_await runtime::on_pool(parts_.runtime, runtime::Lane::kLong, [sorted] { sorted->link(); });
  co_return sorted;
}

// What is badly signed is dropped. What cannot be checked now is an error unless it may be dropped,
// too; but only after all else was stored.
Task<Status> RoomWriter::store_received_events(RoomNumber number, ReceivedStatePtr state,
                                               Uncheckable uncheckable) {
  const auto keys = make_signers_keys();
  Status outcome;
  while (!state->empty()) {
    auto verified =
        co_await verify_all(state->take_next(kVerifiedAtOnce), state->rules(), state->room(), keys);
    if (verified.undecided && uncheckable == Uncheckable::kWait) outcome = *verified.undecided;
    POLDER_CO_CHECK(co_await store_outliers(number, std::move(verified.good)));
  }
  co_return outcome;
}

Task<Result<stores::StateRoot>> RoomWriter::store_received(RoomNumber number,
                                                           ReceivedStatePtr state,
                                                           Uncheckable uncheckable) {
  POLDER_CO_CHECK(co_await store_received_events(number, state, uncheckable));
  co_return co_await store_state_of(number, state->state_ids());
}

Task<Result<RemoteState>> RoomWriter::fetch_state_events(ServerName server, events::EventPtr event,
                                                         std::vector<EventId> missing) {
  if (missing.size() > kStateIdsFetchMax)
    co_return co_await remote_.state(server, event->room_id(), event->id());
  RemoteState state;
  for (const EventId& id : missing) {
    auto pdu = co_await remote_.event(server, id);
    // What the server does not have is left out. What did not come through is not.
    if (!pdu.ok() && is_temporary(pdu.error())) co_return std::move(pdu).error();
    if (pdu.ok()) state.state.push_back(*std::move(pdu));
  }
  co_return state;
}

// Of ids that another server gave, however many, those that are here or those that are not, each
// once and up to max. Outside of the room's turns and by what is on disk: of what is on its way
// there, some count as unknown.
Task<Result<std::vector<EventId>>> RoomWriter::pick(RoomNumber number, std::vector<EventId> ids,
                                                    Picked which, size_t max) {
  struct Picking {
    std::vector<EventId> ids;
    std::unordered_set<EventId> seen;
    std::vector<EventId> picked;
  };
  const auto picking = std::make_shared<Picking>();
  picking->ids = std::move(ids);
  RoomWriter* self = this;
  for (size_t first = 0; first < picking->ids.size() && picking->picked.size() < max;
       first += kLookedUpAtOnce) {
    POLDER_CO_CHECK(co_await runtime::on_pool(parts_.runtime, [=]() -> Status {
      const auto snapshot = self->parts_.database.snapshot();
      const size_t count = std::min(kLookedUpAtOnce, picking->ids.size() - first);
      for (const EventId& id : std::span(picking->ids).subspan(first, count)) {
        if (picking->picked.size() == max || !picking->seen.insert(id).second) continue;
        POLDER_TRY(const auto place, stores::find_event(*snapshot, id));
        const bool known = place && place->room == number;
        if (known == (which == Picked::kKnown)) picking->picked.push_back(id);
      }
      return {};
    }));
  }
  co_return std::move(picking->picked);
}

// The state before an event whose prev events are not known, as its origin has it. With a part of
// the state for the whole, the event and those after it would be refused for good.
Task<Result<stores::StateRoot>> RoomWriter::fetch_state_before(FetchFrom from,
                                                               events::EventPtr event,
                                                               RoomNumber number) {
  POLDER_CO_TRY(RemoteStateIds ids,
                co_await remote_.state_ids(from.server, event->room_id(), event->id()));
  if (ids.state.size() + ids.auth_chain.size() > kStateEventsMax)
    co_return fail(ErrorCode::kTooLarge, "the state is too large");
  std::vector<EventId> all = ids.state;
  all.insert(all.end(), ids.auth_chain.begin(), ids.auth_chain.end());
  // One more than are fetched one by one are as good as all.
  POLDER_CO_TRY(auto missing,
                co_await pick(number, std::move(all), Picked::kUnknown, kStateIdsFetchMax + 1));
  POLDER_CO_TRY(auto state, co_await fetch_state_events(from.server, event, std::move(missing)));
  auto sorted = co_await sort(std::move(state), event->rules(), event->room_id());
  POLDER_CO_CHECK(co_await store_received_events(number, std::move(sorted), from.uncheckable));
  co_return co_await store_state_of(number, std::move(ids.state));
}

// What is not known of the ids is left out.
Task<Result<stores::StateRoot>> RoomWriter::store_state_of(RoomNumber number,
                                                           std::vector<EventId> state) {
  RoomWriter* self = this;
  const auto root = std::make_shared<stores::StateRoot>();
  POLDER_CO_TRY(auto known,
                co_await pick(number, std::move(state), Picked::kKnown, kStateEventsMax));
  const auto ids = std::make_shared<const std::vector<EventId>>(std::move(known));
  for (size_t first = 0; first < ids->size(); first += kStateEntriesAtOnce) {
    const size_t count = std::min(kStateEntriesAtOnce, ids->size() - first);
    Rooms::Step step = [=](Room& room, const kv::Snapshot& snapshot) -> Result<Staged> {
      POLDER_TRY(auto staged, stage_state(self->context_, room, snapshot, *root,
                                          std::span(*ids).subspan(first, count)));
      *root = staged.first;
      return std::move(staged.second);
    };
    POLDER_CO_CHECK(co_await rooms_.change(number, std::move(step)));
  }
  co_return *root;
}

Task<Result<stores::StateRoot>> RoomWriter::store_state(RoomNumber number, ImportedState state) {
  std::vector<events::EventPtr> all = std::move(state.auth_chain);
  all.insert(all.end(), state.state.begin(), state.state.end());
  POLDER_CO_CHECK(co_await store_outliers(number, std::move(all)));
  std::vector<EventId> ids;
  for (const events::EventPtr& event : state.state)
    ids.push_back(event->id());
  co_return co_await store_state_of(number, std::move(ids));
}

}  // namespace polder::rooms
