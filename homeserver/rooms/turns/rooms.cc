#include "homeserver/rooms/turns/rooms.h"

#include <algorithm>
#include <unordered_map>

#include "homeserver/rooms/model/event_thread.h"
#include "homeserver/rooms/turns/enqueued.h"
#include "storage/stores/rooms/purge_rows.h"

namespace polder::rooms {

struct Rooms::Shard {
  // Those that were changed or looked at lately; others are read again when they are needed.
  std::unordered_map<RoomNumber, std::unique_ptr<Room>> rooms;
  uint64_t uses = 0;  // of rooms, counted
};

namespace {

// The room as staged; its positions follow with the commit.
std::shared_ptr<RoomHead> head_of(Room& room) {
  auto head = std::make_shared<RoomHead>();
  head->number = room.number;
  head->record = room.record;
  head->rules = room.rules;
  if (std::exchange(room.servers_changed, false)) {
    room.shared_servers =
        std::make_shared<const std::unordered_map<stores::ServerNumber, uint64_t>>(room.servers);
  }
  head->servers = room.shared_servers;
  return head;
}

}  // namespace

Rooms::Rooms(RoomParts parts)
    : parts_(std::move(parts)),
      caches_(parts_.cache_bytes),
      source_{parts_.runtime, parts_.database, parts_.names, parts_.own_name, caches_, heads_} {
  for (size_t i = 0; i < parts_.runtime.shard_count(); ++i)
    shards_.push_back(std::make_unique<Shard>());
}

Rooms::~Rooms() = default;

void Rooms::add_observer(Observer& observer) {
  observers_.push_back(&observer);
}

void Rooms::when_behind(std::function<void(RoomNumber)> call) {
  when_behind_ = std::move(call);
}

Status Rooms::load_heads() {
  const auto snapshot = parts_.database.snapshot();
  return stores::for_each_room(*snapshot,
                               [&](RoomNumber number, const stores::RoomRecord&) -> Status {
                                 Room room(parts_.runtime, number);
                                 POLDER_CHECK(load(room, *snapshot));
                                 return publish_stored(room, *snapshot);
                               });
}

Task<Result<RoomNumber>> Rooms::number_of(RoomId room) const {
  if (const auto known = parts_.names.known(stores::NameKind::kRoom, room.view())) co_return *known;
  const Rooms* self = this;
  POLDER_CO_TRY(const auto number, co_await runtime::on_pool(parts_.runtime, [self, room] {
                  return self->source_.find(room);
                }));
  if (!number) co_return fail(ErrorCode::kNotFound, "no such room here");
  co_return *number;
}

Room& Rooms::room_at(RoomNumber number) {
  Shard& here = *shards_[shard_of(number)];
  auto found = here.rooms.find(number);
  if (found == here.rooms.end()) {
    if (here.rooms.size() >= 2 * parts_.rooms_held) let_rooms_go(here);
    found = here.rooms.emplace(number, std::make_unique<Room>(parts_.runtime, number)).first;
  }
  found->second->used = ++here.uses;
  return *found->second;
}

// Of the rooms that nothing is under way in, all but those that were used last. A room that is
// being made has nothing on disk to be read again from.
void Rooms::let_rooms_go(Shard& shard) const {
  std::vector<std::pair<uint64_t, RoomNumber>> idle;
  for (const auto& [number, room] : shard.rooms) {
    const bool being_made = room->rules != nullptr && !room->exists;
    if (room->queue.idle() && room->commits == 0 && !being_made)
      idle.emplace_back(room->used, number);
  }
  std::ranges::sort(idle, std::greater());
  for (size_t i = parts_.rooms_held; i < idle.size(); ++i)
    shard.rooms.erase(idle[i].second);
}

size_t Rooms::rooms_in_memory(size_t shard) const {
  return shards_[shard]->rooms.size();
}

void Rooms::discard_unmade(RoomNumber number) {
  auto& rooms = shards_[shard_of(number)]->rooms;
  const auto found = rooms.find(number);
  if (found == rooms.end()) return;
  const Room& room = *found->second;
  if (!room.exists && room.queue.idle() && room.commits == 0) rooms.erase(found);
}

Status Rooms::load(Room& room, const kv::Snapshot& snapshot) const {
  POLDER_TRY(auto record, stores::read_room(snapshot, room.number));
  if (!record) {
    POLDER_TRY(const auto purged, stores::read_purge(snapshot, room.number));
    if (purged && !purged->done) return fail(ErrorCode::kUnavailable, "the room is being purged");
    room.loaded = true;
    if (purged) room.record.last_event = purged->last_event;
    if (purged) room.record.last_node = purged->last_node;
    return {};
  }
  room.loaded = true;
  room.rules = events::find_room_version(record->version);
  if (room.rules == nullptr)
    return fail(ErrorCode::kCorrupt, "a room of an unknown version is stored");
  POLDER_TRY(const auto counts, stores::read_server_counts(snapshot, room.number));
  room.servers = {counts.begin(), counts.end()};
  room.servers_changed = true;
  room.record = *std::move(record);
  room.exists = true;
  return {};
}

Status Rooms::publish_stored(Room& room, const kv::Snapshot& snapshot) {
  if (!room.exists) return {};
  POLDER_TRY(const auto newest,
             stores::read_timeline_backwards(snapshot, room.number, 0, kv::kLastPosition, 1));
  auto head = head_of(room);
  head->last = newest.empty() ? 0 : newest[0].position;
  head->last_change = head->last;
  // What is being read at once with the next commits' beginning is not newer than that.
  head->recent.begin_unknown_after(head->last);
  heads_.publish(std::move(head));
  return {};
}

Task<Status> Rooms::begin_turn(Room& room) {
  if (room.failed) {
    // What is on its way to the disk goes first. Read without it, the room would give its numbers
    // again.
    while (room.commits > 0)
      co_await room.all_done.wait();
    room.forget();
  }
  room.settle(caches_);
  room.kept.trim(room.record.extremities);
  if (!room.loaded) {
    Rooms* self = this;
    Room* target = &room;
    POLDER_CO_CHECK(co_await runtime::on_pool(
        parts_.runtime, runtime::Lane::kShort,
        [self, target] { return self->load(*target, *self->parts_.database.snapshot()); }));
  }
  co_return Status();
}

Task<Result<std::shared_ptr<Enqueued>>> Rooms::stage_and_enqueue(Room& room, Step step) {
  Rooms* self = this;
  Room* target = &room;
  auto staged = co_await runtime::on_pool(parts_.runtime, runtime::Lane::kShort,
                                          [self, target, step = std::move(step)] {
                                            return step(*target, *self->parts_.database.snapshot());
                                          });
  if (!staged.ok()) co_return std::move(staged).error();
  co_return enqueue(room, *std::move(staged));
}

std::shared_ptr<Enqueued> Rooms::enqueue(Room& room, Staged staged, std::vector<Staged> also,
                                         std::vector<uint32_t> moved) {
  auto enqueued = std::make_shared<Enqueued>(parts_.runtime);
  if (room.failed) {
    // Meanwhile: this was built on what will not be there.
    enqueued->failure = fail(ErrorCode::kUnavailable, "what the change builds on was not stored");
    enqueued->done = true;
    return enqueued;
  }
  ++room.commits;
  enqueued->staged = std::move(staged);
  enqueued->also = std::move(also);
  enqueued->moved = std::move(moved);
  enqueued->lags = room.record.edge_state.has_value();
  if (!enqueued->staged.outside) enqueued->head = head_of(room);
  const bool taken = parts_.committer.enqueue(
      std::move(enqueued->staged.batch), kv::Durability::kDurable,
      [this, &room, enqueued](Result<kv::Committed> result) {
        committed(room, *enqueued, result);
        enqueued->done = true;
        enqueued->signal.notify_all();
      },
      [this, enqueued](kv::Committed positions) {
        if (enqueued->head) publish(*enqueued, positions);
      });
  if (!taken) room.failed = true;
  return enqueued;
}

std::shared_ptr<Enqueued> Rooms::enqueue_all(Room& room, std::vector<Staged> all) {
  Staged first = std::move(all.front());
  std::vector<uint32_t> moved;
  for (size_t i = 1; i < all.size(); ++i)
    moved.push_back(first.batch.append(all[i].batch));
  all.erase(all.begin());
  return enqueue(room, std::move(first), std::move(all), std::move(moved));
}

// Before `visible` includes the change: whoever reads up to there finds a head that knows of it. On
// the committer's thread, in commit order.
void Rooms::publish(Enqueued& enqueued, kv::Committed positions) {
  RoomHead& head = *enqueued.head;
  const RoomHeadPtr before = heads_.find(head.number);
  if (before) {
    head.last = before->last;
    head.last_change = before->last_change;
    head.rewrites = before->rewrites;
    head.recent = before->recent;
    // What is hidden from here on is erased soon; also what came since then and is as old.
    const bool hides = head.record.history_from != before->record.history_from;
    if (hides || enqueued.staged.erases) head.recent.begin_after(head.last);
  } else {
    head.recent.begin_unknown_after(positions.first - 1);
  }
  const auto pass = [&](const Staged& one, uint32_t moved) {
    const bool rewritten =
        before && one.stored.event && one.stored.place.number <= before->record.last_event;
    if (rewritten) {
      ++head.rewrites;
      head.recent.begin_after(head.last);
    }
    if (!one.stored.slot) return;
    const kv::Position position = positions.first + moved + one.stored.slot->index;
    if (one.stored.event && one.verdict == Verdict::kAccepted &&
        !one.stored.record.standing.backfilled) {
      head.last = position;
      const stores::EventRecord& record = one.stored.record;
      head.recent.add({position, one.stored.place.number,
                       record.room_state.value_or(record.state_after),
                       enqueued.also.empty() ? head.record.notifying : RecentTimeline::kUnknown});
      const Notification& notification = one.stored.notification;
      if (notification.notifies && notification.thread != kMainThread)
        head.recent.note_notified_in_thread(position);
      if (notification.highlights || !notification.mentioned.empty())
        head.recent.note_highlighted(position);
      if (one.stored.redacts != 0 || one.stored.redacted) head.recent.note_redaction(position);
    }
    if (!one.changes.empty()) head.last_change = position;
  };
  pass(enqueued.staged, 0);
  for (size_t i = 0; i < enqueued.also.size(); ++i)
    pass(enqueued.also[i], enqueued.moved[i]);
  heads_.publish(std::move(enqueued.head));
}

Task<Result<Staged>> Rooms::finish(std::shared_ptr<Enqueued> enqueued) {
  while (!enqueued->done)
    co_await enqueued->signal.wait();
  if (enqueued->failure) co_return *enqueued->failure;
  co_return std::move(enqueued->staged);
}

// On the room's shard, in the order of the room's positions.
void Rooms::committed(Room& room, Enqueued& enqueued, const Result<kv::Committed>& result) {
  Staged& staged = enqueued.staged;
  if (enqueued.transaction) room.transactions.erase(*enqueued.transaction);
  if (--room.commits == 0) room.all_done.notify_all();
  if (!result.ok()) {
    room.failed = true;
    enqueued.failure = result.error();
    return;
  }
  if (staged.outside) {
    parts_.names.committed(staged.names);
    staged.outside->position = result->first + staged.outside_slot->index;
    for (Observer* observer : observers_)
      observer->committed_outside(*staged.outside);
    return;
  }
  const auto settle = [&](Staged& one, uint32_t moved) {
    parts_.names.committed(one.names);
    stores::EventRecord& record = one.stored.record;
    if (one.stored.slot) record.position = result->first + moved + one.stored.slot->index;
    Room::Settled settled{one.stored.place.number, {}, one.nodes, record.position, one.erases};
    if (one.stored.event) settled.id = one.stored.event->id();
    room.settled.push_back(std::move(settled));
  };
  settle(staged, 0);
  for (size_t i = 0; i < enqueued.also.size(); ++i)
    settle(enqueued.also[i], enqueued.moved[i]);
  if (staged.stored.event)
    enqueued.sent = {staged.stored.event->id(), staged.stored.record.position};

  if (enqueued.lags && when_behind_) when_behind_(room.number);

  const auto tell = [&](const Staged& one) {
    if (!one.stored.slot) return;
    for (Observer* observer : observers_)
      observer->committed(one.stored, one.verdict, one.changes);
  };
  tell(staged);
  for (const Staged& more : enqueued.also)
    tell(more);
}

Task<Result<Staged>> Rooms::change(RoomNumber number, Step step) {
  Room& room = room_at(number);
  std::shared_ptr<Enqueued> enqueued;
  {
    const auto turn = co_await room.queue.turn();
    POLDER_CO_CHECK(co_await begin_turn(room));
    POLDER_CO_TRY(enqueued, co_await stage_and_enqueue(room, std::move(step)));
  }
  co_return co_await finish(std::move(enqueued));
}

}  // namespace polder::rooms
