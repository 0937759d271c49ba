// New rooms: made here, or entered over federation.
#include <algorithm>

#include "homeserver/protocol/events/signing.h"
#include "homeserver/rooms/engine.h"
#include "homeserver/rooms/enqueued.h"

namespace polder::rooms {
namespace {

constexpr size_t kOpaqueLetters = 18;
constexpr int64_t kSameMomentMax = 50;  // rooms made alike in one millisecond

}  // namespace

// Stages every event on the one before and commits them as one batch: a room is created whole or
// not.
Task<Result<RoomId>> RoomEngine::create_on_shard(RoomNumber number, RoomId id,
                                                 const events::RoomVersionRules& rules,
                                                 events::EventPtr create,
                                                 std::vector<LocalEvent> events) {
  Room& room = room_at(shard_of(number), number);
  std::shared_ptr<Enqueued> enqueued;
  {
    const auto turn = co_await room.queue.turn();
    POLDER_CO_CHECK(co_await begin_turn(room));
    if (room.exists) co_return fail(ErrorCode::kExists, "the room exists");
    room.rules = &rules;
    room.record.id = id;
    room.record.version = rules.id;
    RoomEngine* self = this;
    Room* target = &room;
    auto later = std::make_shared<const std::vector<LocalEvent>>(std::move(events));
    auto staged = co_await runtime::on_pool(
        parts_.runtime, runtime::Lane::kShort,
        [self, target, create, later]() -> Result<std::vector<Staged>> {
          const auto snapshot = self->parts_.database.snapshot();
          std::vector<Staged> all;
          StageInput first;
          first.event = create;
          first.origin = Origin::kLocal;
          POLDER_TRY(Staged created, stage(self->context_, *target, *snapshot, std::move(first)));
          all.push_back(std::move(created));
          for (const LocalEvent& event : *later) {
            POLDER_TRY(Staged next, self->build_and_stage(*target, *snapshot, event));
            all.push_back(std::move(next));
          }
          return all;
        });
    if (!staged.ok()) {
      room.failed = true;  // what was staged is void
      co_return std::move(staged).error();
    }
    enqueued = enqueue_all(room, *std::move(staged));
  }
  POLDER_CO_CHECK(co_await finish(std::move(enqueued)));
  co_return id;
}

std::shared_ptr<Enqueued> RoomEngine::enqueue_all(Room& room, std::vector<Staged> all) {
  Staged first = std::move(all.front());
  std::vector<uint32_t> moved;
  for (size_t i = 1; i < all.size(); ++i)
    moved.push_back(first.batch.append(all[i].batch));
  all.erase(all.begin());
  return enqueue(room, std::move(first), std::move(all), std::move(moved));
}

Result<RoomNumber> RoomEngine::new_room_number(const RoomId& id) {
  // The mapping becomes durable with the first batch of the room.
  kv::Batch unused;
  stores::NewNames names;
  return parts_.names.intern(stores::NameKind::kRoom, id.view(), unused, names);
}

Task<Result<RoomId>> RoomEngine::create(const events::RoomVersionRules& rules,
                                        std::vector<LocalEvent> events) {
  const LocalEvent first = events.at(0);
  events::EventDraft draft;
  if (!rules.room_id_is_create_hash) {
    draft.room_id = RoomId::trusted("!" + parts_.runtime.random().letters(kOpaqueLetters) + ":" +
                                    parts_.own_name.str());
  }
  draft.sender = first.sender;
  draft.type = first.type;
  draft.state_key = first.state_key;
  draft.content = first.content;
  const int64_t now_ms = first.origin_server_ts.value_or(parts_.runtime.clock().wall_ms());
  events.erase(events.begin());
  const events::RoomVersionRules* version = &rules;
  // Where the room's id is the hash of its create event, rooms that are made alike within one
  // millisecond would be one.
  for (int64_t later_ms = 0;; ++later_ms) {
    draft.origin_server_ts = now_ms + later_ms;
    POLDER_CO_TRY(const events::EventPtr create, sign(draft, rules));
    const RoomId id = create->room_id();
    POLDER_CO_TRY(const RoomNumber number, new_room_number(id));
    auto make = [this, number, id, version, create, events] {
      return create_on_shard(number, id, *version, create, events);
    };
    auto created = co_await runtime::on_shard(parts_.runtime, shard_of(number), std::move(make));
    const bool taken = !created.ok() && created.error().code == ErrorCode::kExists;
    if (!taken || later_ms == kSameMomentMax) co_return created;
  }
}

Task<Result<SentEvent>> RoomEngine::enter_on_shard(RoomNumber number,
                                                   const events::RoomVersionRules& rules,
                                                   ImportedState state, events::EventPtr join) {
  POLDER_CO_CHECK(co_await open_room(number, join->room_id(), rules));
  const auto partial = std::exchange(state.partial, std::nullopt);
  const ToldStatePtr rest = std::exchange(state.rest, nullptr);
  POLDER_CO_TRY(const stores::StateRoot before, co_await store_state(number, std::move(state)));
  RoomEngine* self = this;
  Step step = [self, join, before, partial](Room& room,
                                            const kv::Snapshot& snapshot) -> Result<Staged> {
    StageInput input;
    input.event = join;
    input.state_before = before;
    input.partial = partial;
    input.replaces_edge = !room.record.local_joined;
    return stage(self->context_, room, snapshot, std::move(input));
  };
  POLDER_CO_TRY(const Staged staged, co_await change(number, std::move(step)));
  if (staged.verdict != Verdict::kAccepted) co_return fail(ErrorCode::kForbidden, staged.refusal);
  if (rest) shards_[shard_of(number)]->told[number] = {staged.stored.place.number, rest};
  const RoomHeadPtr head = heads_.find(number);
  if (head && head->record.partial) complete_later(number);
  co_return SentEvent{join->id(), staged.stored.record.position};
}

// Makes a room that is new here ready to take events.
Task<Status> RoomEngine::open_room(RoomNumber number, RoomId id,
                                   const events::RoomVersionRules& rules) {
  Room& room = room_at(shard_of(number), number);
  const auto turn = co_await room.queue.turn();
  POLDER_CO_CHECK(co_await begin_turn(room));
  if (room.exists && room.rules != &rules)
    co_return fail(ErrorCode::kInvalid, "the room is known as one of another version");
  if (room.exists) co_return Status();
  room.rules = &rules;
  room.record.id = id;
  room.record.version = rules.id;
  co_return Status();
}

Task<Result<SentEvent>> RoomEngine::enter(const events::RoomVersionRules& rules,
                                          ImportedState state, events::EventPtr join) {
  POLDER_CO_TRY(const RoomNumber number, new_room_number(join->room_id()));
  const events::RoomVersionRules* version = &rules;
  auto make = [this, number, version, join, state = std::move(state)]() mutable {
    return enter_on_shard(number, *version, std::move(state), join);
  };
  co_return co_await runtime::on_shard(parts_.runtime, shard_of(number), std::move(make));
}

}  // namespace polder::rooms
