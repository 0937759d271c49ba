// Events from other servers.
// https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
#include <algorithm>
#include <ranges>
#include <set>

#include "homeserver/rooms/write/writer.h"

namespace polder::rooms {
namespace {

constexpr size_t kMissingEventsMax = 50;     // asked for with get_missing_events
constexpr size_t kAuthEventsFetchMax = 500;  // fetched one by one for one event
constexpr size_t kKnownEventsWalked = 500;   // to tell history from what is missing

bool older(const events::EventPtr& a, const events::EventPtr& b) {
  return std::pair(a->depth(), a->id().view()) < std::pair(b->depth(), b->id().view());
}

// What known events from the room's edge back to a depth name as their prev events. Bounded: the
// newest are walked first.
Result<std::set<EventId>> named_by_known(RoomView& view, const std::vector<EventNumber>& edge,
                                         int64_t depth) {
  std::set<EventId> named;
  std::set<std::pair<int64_t, EventNumber>> next;  // by depth
  std::set<EventNumber> seen;
  const auto add = [&](EventNumber number) -> Status {
    if (!seen.insert(number).second) return {};
    POLDER_TRY(const auto record, view.find_record(number));
    if (record && !record->standing.outlier && record->depth > depth)
      next.emplace(record->depth, number);
    return {};
  };
  for (const EventNumber number : edge)
    POLDER_CHECK(add(number));
  for (size_t walked = 0; !next.empty() && walked < kKnownEventsWalked; ++walked) {
    const auto deepest = std::prev(next.end());
    const EventNumber number = deepest->second;
    next.erase(deepest);
    POLDER_TRY(const auto held, view.load(number));
    named.insert(held.event->prev_events().begin(), held.event->prev_events().end());
    for (const EventNumber prev : held.record.prev_events)
      POLDER_CHECK(add(prev));
  }
  return named;
}

// What to ask for: what lies between the room's edge and the event, but nothing from before the
// oldest event here. Where this server entered the room not long ago, a walk back from the event
// leads past the entry, into history.
Result<MissingEvents> missing_between(const kv::Snapshot& snapshot, const RoomHead& head,
                                      const EventId& event) {
  MissingEvents range;
  POLDER_TRY(const auto jsons,
             stores::read_event_jsons(snapshot, head.number, head.record.extremities));
  for (const auto& json : jsons) {
    if (!json) return fail(ErrorCode::kCorrupt, "a forward extremity is not there");
    POLDER_TRY(const auto parsed, events::Event::parse(*json, *head.rules));
    range.earliest.push_back(parsed->id());
  }
  range.latest.push_back(event);
  POLDER_TRY(const auto oldest, stores::read_from(snapshot, head.number, {}, 1));
  if (!oldest.empty()) range.min_depth = oldest.front().place.depth;
  range.limit = kMissingEventsMax;
  return range;
}

Result<bool> has_its_place(const RoomView& view, const EventId& id) {
  POLDER_TRY(const auto number, view.find(id));
  if (!number) return false;
  POLDER_TRY(const auto record, view.record(*number));
  return !record.standing.outlier;
}

// Takes out what known events build on, directly or through others of the list: history from before
// this server entered the room. It is stored when somebody pages back to it (backfill); at the
// room's edge it would be news. Known events may be in the list, too: those from an earlier stay
// are not reached from the edge.
Result<std::vector<events::EventPtr>> without_history(RoomView& view,
                                                      const std::vector<EventNumber>& edge,
                                                      std::vector<events::EventPtr> events) {
  if (events.empty()) return events;
  std::ranges::sort(events, older);
  POLDER_TRY(auto named, named_by_known(view, edge, events.front()->depth()));
  std::vector<events::EventPtr> news;
  for (const events::EventPtr& event : std::views::reverse(events)) {
    POLDER_TRY(const bool known, has_its_place(view, event->id()));
    if (known || named.contains(event->id())) {
      named.insert(event->prev_events().begin(), event->prev_events().end());
    } else {
      news.push_back(event);
    }
  }
  std::ranges::reverse(news);
  return news;
}

}  // namespace

Task<Result<std::vector<EventId>>> RoomWriter::unknown(RoomNumber number, std::vector<EventId> ids,
                                                       bool outliers_count) {
  Room& room = rooms_.room_at(number);
  const auto turn = co_await room.queue.turn();
  POLDER_CO_CHECK(co_await rooms_.begin_turn(room));
  RoomWriter* self = this;
  Room* target = &room;
  co_return co_await runtime::on_pool(
      parts_.runtime, runtime::Lane::kShort,
      [self, target, ids, outliers_count]() -> Result<std::vector<EventId>> {
        const auto snapshot = self->parts_.database.snapshot();
        const RoomView view(*target, *snapshot, self->parts_.names, self->caches_);
        std::vector<EventId> missing;
        for (const EventId& id : ids) {
          POLDER_TRY(const auto known, view.find(id));
          if (known && !outliers_count) {
            POLDER_TRY(const auto record, view.record(*known));
            if (!record.standing.outlier) continue;
          } else if (known) {
            continue;
          }
          missing.push_back(id);
        }
        return missing;
      });
}

// In the room's turn: several servers may have sent the event at once.
Status RoomWriter::require_new(const Room& room, const kv::Snapshot& snapshot,
                               const EventId& id) const {
  const RoomView view(room, snapshot, parts_.names, caches_);
  POLDER_TRY(const auto known, view.find(id));
  if (!known) return {};
  POLDER_TRY(const auto record, view.record(*known));
  return record.standing.outlier ? Status() : Status(fail(ErrorCode::kExists, "known"));
}

// Fetches what the event's auth events lack, back to what is known.
Task<Status> RoomWriter::fetch_auth_events(FetchFrom from, events::EventPtr event,
                                           RoomNumber number) {
  std::vector<events::EventPtr> fetched;
  std::set<EventId> ids;
  std::vector<EventId> wanted = event->auth_events();
  while (!wanted.empty()) {
    POLDER_CO_TRY(const auto missing, co_await unknown(number, std::exchange(wanted, {}), true));
    for (const EventId& id : missing) {
      if (!ids.insert(id).second) continue;
      if (ids.size() > kAuthEventsFetchMax)
        co_return fail(ErrorCode::kTooLarge, "too many auth events are missing");
      POLDER_CO_TRY(std::string pdu, co_await remote_.event(from.server, id));
      std::vector<std::string> one;
      one.push_back(std::move(pdu));
      const auto verified = co_await verify_all(std::move(one), event->rules(), event->room_id());
      if (verified.undecided && from.uncheckable == Uncheckable::kWait)
        co_return *verified.undecided;
      for (const auto& auth_event : verified.good) {
        if (auth_event->id() != id) continue;
        wanted.insert(wanted.end(), auth_event->auth_events().begin(),
                      auth_event->auth_events().end());
        fetched.push_back(auth_event);
      }
    }
  }
  co_return co_await store_outliers(number, std::move(fetched));
}

// Asks the origin for what lies between the room's edge and the event, and stores what connects.
Task<Status> RoomWriter::fetch_missing(FetchFrom from, events::EventPtr event, RoomNumber number) {
  const RoomHeadPtr known = rooms_.head(number);
  if (!known) co_return Status();
  RoomWriter* self = this;
  const EventId wanted = event->id();
  auto range = co_await runtime::on_pool(parts_.runtime, runtime::Lane::kShort,
                                         [self, known, wanted]() -> Result<MissingEvents> {
                                           const auto snapshot = self->parts_.database.snapshot();
                                           return missing_between(*snapshot, *known, wanted);
                                         });
  if (!range.ok()) co_return std::move(range).error();
  const int64_t min_depth = std::max(range->min_depth, known->record.history_from);
  auto pdus = co_await remote_.missing_events(from.server, event->room_id(), *std::move(range));
  if (!pdus.ok()) co_return Status();  // the state is asked for instead
  auto events = co_await verify_all(*std::move(pdus), event->rules(), event->room_id());
  const auto verified = std::make_shared<std::vector<events::EventPtr>>(std::move(events.good));
  std::erase_if(*verified, [&](const auto& one) { return one->depth() < min_depth; });
  POLDER_CO_TRY(
      const auto news,
      co_await runtime::on_pool(parts_.runtime, runtime::Lane::kShort, [self, known, verified] {
        StoredRoom stored(self->source(), *known);
        return without_history(stored.view(), known->record.extremities, std::move(*verified));
      }));
  for (const events::EventPtr& missing : news) {
    if (missing->id() == event->id()) continue;
    std::string built_on_by(event->sender().server());
    const auto received = co_await receive_connected(from, missing, number, std::move(built_on_by));
    if (!received.ok())
      parts_.runtime.log().info("missing_event_refused",
                                {{"event", missing->id()}, {"reason", received.error().message}});
  }
  co_return Status();
}

// Steps 4 to 6 for an event whose links are there, or whose state before can be fetched. It came
// from, or for the sake of an event of, a user of the server that built on it.
Task<Result<Received>> RoomWriter::receive_connected(FetchFrom from, events::EventPtr event,
                                                     RoomNumber number, std::string built_on_by) {
  std::vector<EventId> itself(1, event->id());
  POLDER_CO_TRY(const auto fresh, co_await unknown(number, std::move(itself), false));
  Received received;
  received.known = fresh.empty();
  if (received.known) co_return received;
  POLDER_CO_CHECK(co_await fetch_auth_events(from, event, number));
  POLDER_CO_TRY(const auto missing_prevs, co_await unknown(number, event->prev_events(), false));
  std::optional<stores::StateRoot> before;
  if (!missing_prevs.empty()) {
    POLDER_CO_TRY(before, co_await fetch_state_before(from, event, number));
  }
  RoomWriter* self = this;
  Rooms::Step step = [self, event, before, built_on_by](
                         Room& room, const kv::Snapshot& snapshot) -> Result<Staged> {
    if (!room.exists || room.record.extremities.empty())
      return fail(ErrorCode::kNotFound, "no such room here");
    POLDER_CHECK(self->require_new(room, snapshot, event->id()));
    StageInput input;
    input.event = event;
    input.state_before = before;
    input.drops_strangers = true;
    input.built_on_by = built_on_by;
    return stage(self->context_, room, snapshot, std::move(input));
  };
  const auto staged = co_await rooms_.change(number, std::move(step));
  received.known = !staged.ok() && staged.error().code == ErrorCode::kExists;
  if (received.known) co_return received;
  if (!staged.ok() && staged.error().code == ErrorCode::kForbidden) {
    // Not stored: nothing of it is needed.
    received.verdict = Verdict::kRejected;
    received.refusal = staged.error().message;
    co_return received;
  }
  if (!staged.ok()) co_return staged.error();
  received.verdict = staged->verdict;
  received.refusal = staged->refusal;
  if (staged->verdict != Verdict::kAccepted) {
    parts_.runtime.log().info(
        "event_refused",
        {{"event", event->id()}, {"room", event->room_id()}, {"rule", staged->refusal}});
    co_return received;
  }
  POLDER_CO_CHECK(co_await look_again_below(number, staged->stored.place.number));
  join_extremities_later(rooms_.room_at(number));
  co_return received;
}

Task<Result<Received>> RoomWriter::receive_on_shard(FetchFrom from, events::EventPtr event,
                                                    RoomNumber number) {
  POLDER_CO_TRY(event, co_await verify(event));
  POLDER_CO_TRY(const auto missing_prevs, co_await unknown(number, event->prev_events(), false));
  if (!missing_prevs.empty()) POLDER_CO_CHECK(co_await fetch_missing(from, event, number));
  std::string itself(event->sender().server());
  co_return co_await receive_connected(from, event, number, std::move(itself));
}

Task<Result<Received>> RoomWriter::receive(ServerName origin, events::EventPtr event,
                                           Uncheckable uncheckable) {
  POLDER_CO_TRY(const RoomNumber number, co_await rooms_.number_of(event->room_id()));
  const FetchFrom from{std::move(origin), uncheckable};
  auto make = [this, from, event, number] { return receive_on_shard(from, event, number); };
  co_return co_await runtime::on_shard(parts_.runtime, rooms_.shard_of(number), std::move(make));
}

// Stores older events, oldest first, each with its state before: fetched for the oldest, then what
// follows.
Task<Result<size_t>> RoomWriter::backfill_on_shard(ServerName server, RoomNumber number,
                                                   std::vector<EventId> from, size_t limit) {
  const RoomHeadPtr head = rooms_.head(number);
  if (!head) co_return fail(ErrorCode::kNotFound, "no such room here");
  POLDER_CO_TRY(auto pdus,
                co_await remote_.backfill(server, head->record.id, std::move(from), limit));
  auto events = (co_await verify_all(std::move(pdus), *head->rules, head->record.id)).good;
  std::erase_if(events, [&head](const events::EventPtr& event) {
    return event->depth() < head->record.history_from;  // purged
  });
  std::ranges::sort(events, older);
  const FetchFrom fetch{server, Uncheckable::kDrop};
  size_t stored = 0;
  for (const events::EventPtr& event : events) {
    std::vector<EventId> itself(1, event->id());
    POLDER_CO_TRY(const auto fresh, co_await unknown(number, std::move(itself), false));
    if (fresh.empty()) continue;
    const Status auth = co_await fetch_auth_events(fetch, event, number);
    POLDER_CO_TRY(const auto missing_prevs, co_await unknown(number, event->prev_events(), false));
    std::optional<stores::StateRoot> before;
    if (!missing_prevs.empty()) {
      auto fetched = co_await fetch_state_before(fetch, event, number);
      if (!auth.ok() || !fetched.ok()) continue;
      before = *fetched;
    }
    RoomWriter* self = this;
    Rooms::Step step = [self, event, before](Room& room,
                                             const kv::Snapshot& snapshot) -> Result<Staged> {
      POLDER_CHECK(self->require_new(room, snapshot, event->id()));
      StageInput input;
      input.event = event;
      input.origin = Origin::kBackfill;
      input.state_before = before;
      return stage(self->context_, room, snapshot, std::move(input));
    };
    const auto staged = co_await rooms_.change(number, std::move(step));
    if (staged.ok() && staged->verdict == Verdict::kAccepted) ++stored;
  }
  co_return stored;
}

Task<Result<size_t>> RoomWriter::backfill(ServerName server, RoomId room, std::vector<EventId> from,
                                          size_t limit) {
  POLDER_CO_TRY(const RoomNumber number, co_await rooms_.number_of(std::move(room)));
  auto make = [this, server, number, from = std::move(from), limit]() mutable {
    return backfill_on_shard(server, number, std::move(from), limit);
  };
  co_return co_await runtime::on_shard(parts_.runtime, rooms_.shard_of(number), std::move(make));
}

Task<size_t> RoomWriter::fill_gap(RoomHeadPtr head, std::vector<EventId> before, size_t limit) {
  const RoomSource* reading = &source();
  const auto servers = co_await runtime::on_pool(
      parts_.runtime, [reading, head] { return servers_to_ask(*reading, *head); });
  if (!servers.ok()) co_return 0;
  for (const ServerName& server : *servers) {
    const auto stored = co_await backfill(server, head->record.id, before, limit);
    if (stored.ok() && *stored > 0) co_return *stored;
    if (!stored.ok())
      parts_.runtime.log().info(
          "gap_not_filled",
          {{"room", head->record.id}, {"server", server}, {"reason", stored.error().message}});
  }
  co_return 0;
}

}  // namespace polder::rooms
