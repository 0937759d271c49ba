// New rooms: made here, or entered over federation.

#include "homeserver/base/json/write.h"
#include "homeserver/protocol/dag/authorise.h"
#include "homeserver/rooms/turns/enqueued.h"
#include "homeserver/rooms/write/consequences.h"
#include "homeserver/rooms/write/permission.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::rooms {
namespace {

constexpr size_t kOpaqueLetters = 18;
constexpr int64_t kSameMomentMax = 50;  // rooms made alike in one millisecond

// Names stay in memory until they are durable: those that a refused room was the first to use are
// made so, that memory may forget them.
struct LeftNames {
  kv::Batch batch;
  stores::NewNames written;
};
LeftNames names_left_by(stores::Names& names, const RoomId& room,
                        const std::vector<LocalEvent>& events) {
  LeftNames left;
  const auto write = [&](stores::NameKind kind, std::string_view name) {
    const auto known = names.find(kind, name);
    // What cannot be read or written now stays until somebody uses the name again.
    if (known.ok() && *known) (void)names.intern(kind, name, left.batch, left.written);
  };
  write(stores::NameKind::kRoom, room.view());
  for (const LocalEvent& event : events) {
    write(stores::NameKind::kType, event.type);
    if (!event.state_key) continue;
    write(stores::NameKind::kStateKey, *event.state_key);
    if (event.type == "m.room.member") write(stores::NameKind::kUser, *event.state_key);
  }
  return left;
}

}  // namespace

// Each staged on the one before; the first is the create event.
Result<std::vector<Staged>> RoomWriter::stage_new_room(
    Room& room, events::EventPtr create, const std::vector<LocalEvent>& events) const {
  const auto snapshot = parts_.database.snapshot();
  const RoomView view(room, *snapshot, parts_.names, caches_);
  POLDER_CHECK(permit(room, view, *create, events.front().actor));
  for (const LocalEvent& event : events)
    POLDER_CHECK(check_acl(event, parts_.own_name));
  std::vector<Staged> all;
  StageInput first;
  first.event = std::move(create);
  first.origin = Origin::kLocal;
  POLDER_TRY(Staged created, stage(context_, room, *snapshot, std::move(first)));
  all.push_back(std::move(created));
  for (size_t i = 1; i < events.size(); ++i) {
    POLDER_TRY(Staged next, build_and_stage(room, *snapshot, events[i]));
    all.push_back(std::move(next));
  }
  return all;
}

// Commits all events as one batch: a room is created whole or not.
Task<Result<std::shared_ptr<Enqueued>>> RoomWriter::create_in_turn(
    Room& room, RoomId id, const events::RoomVersionRules& rules, events::EventPtr create,
    std::vector<LocalEvent> events) {
  const auto turn = co_await room.queue.turn();
  POLDER_CO_CHECK(co_await rooms_.begin_turn(room));
  if (room.exists) co_return fail(ErrorCode::kExists, "the room exists");
  room.rules = &rules;
  room.record.id = std::move(id);
  room.record.version = rules.id;
  RoomWriter* self = this;
  Room* target = &room;
  auto shared = std::make_shared<const std::vector<LocalEvent>>(std::move(events));
  auto left = std::make_shared<LeftNames>();
  auto staged = co_await runtime::on_pool(
      parts_.runtime, runtime::Lane::kShort, [self, target, create, shared, left] {
        auto all = self->stage_new_room(*target, create, *shared);
        if (!all.ok()) *left = names_left_by(self->parts_.names, create->room_id(), *shared);
        return all;
      });
  if (staged.ok()) co_return rooms_.enqueue_all(room, *std::move(staged));
  room.forget();  // what was staged is void
  room.rules = nullptr;
  if (!left->batch.empty()) {
    parts_.committer.enqueue(std::move(left->batch), kv::Durability::kLazy,
                             [this, left](const Result<kv::Committed>& done) {
                               if (done.ok()) parts_.names.committed(left->written);
                             });
  }
  co_return std::move(staged).error();
}

Task<Result<RoomId>> RoomWriter::create_on_shard(RoomNumber number, RoomId id,
                                                 const events::RoomVersionRules& rules,
                                                 events::EventPtr create,
                                                 std::vector<LocalEvent> events) {
  auto enqueued = co_await create_in_turn(rooms_.room_at(number), id, rules, std::move(create),
                                          std::move(events));
  if (!enqueued.ok()) {
    rooms_.discard_unmade(number);
    co_return std::move(enqueued).error();
  }
  POLDER_CO_CHECK(co_await rooms_.finish(*std::move(enqueued)));
  co_return id;
}

// Before the room gets a number: what is asked for wrongly leaves nothing behind.
Status RoomWriter::check_create(const events::Event& create) const {
  const std::vector<events::EventPtr> no_state;
  const Status allowed = dag::authorise(create, dag::EventListState(no_state));
  if (!allowed.ok() && allowed.error().code == ErrorCode::kForbidden)
    return fail(ErrorCode::kInvalid, allowed.error().message);
  return allowed;
}

Task<Result<RoomNumber>> RoomWriter::new_room_number(RoomId id) {
  RoomWriter* self = this;
  co_return co_await runtime::on_pool(parts_.runtime, [self, id] {
    // The mapping becomes durable with the first batch of the room.
    kv::Batch unused;
    stores::NewNames names;
    return self->parts_.names.intern(stores::NameKind::kRoom, id.view(), unused, names);
  });
}

Task<Result<RoomId>> RoomWriter::create(const events::RoomVersionRules& rules,
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
  if (!json::is_canonical(draft.content))
    co_return fail(ErrorCode::kInvalid, "numbers must be integers within 53 bits");
  const int64_t now_ms = first.origin_server_ts.value_or(parts_.runtime.clock().wall_ms());
  const events::RoomVersionRules* version = &rules;
  // Where the room's id is the hash of its create event, rooms that are made alike within one
  // millisecond would be one.
  for (int64_t later_ms = 0;; ++later_ms) {
    draft.origin_server_ts = now_ms + later_ms;
    POLDER_CO_TRY(const events::EventPtr create, sign(draft, rules));
    POLDER_CO_CHECK(check_create(*create));
    const RoomId id = create->room_id();
    POLDER_CO_TRY(const RoomNumber number, co_await new_room_number(id));
    auto make = [this, number, id, version, create, events] {
      return create_on_shard(number, id, *version, create, events);
    };
    auto created =
        co_await runtime::on_shard(parts_.runtime, rooms_.shard_of(number), std::move(make));
    const bool taken = !created.ok() && created.error().code == ErrorCode::kExists;
    if (!taken || later_ms == kSameMomentMax) co_return created;
  }
}

Task<Result<SentEvent>> RoomWriter::enter_on_shard(RoomNumber number,
                                                   const events::RoomVersionRules& rules,
                                                   ImportedState state, events::EventPtr join) {
  POLDER_CO_CHECK(co_await open_room(number, join->room_id(), rules));
  auto entered = co_await enter_opened(number, std::move(state), std::move(join));
  if (!entered.ok()) rooms_.discard_unmade(number);
  co_return entered;
}

Task<Result<SentEvent>> RoomWriter::enter_opened(RoomNumber number, ImportedState state,
                                                 events::EventPtr join) {
  const auto partial = std::exchange(state.partial, std::nullopt);
  const ReceivedStatePtr rest = std::exchange(state.rest, nullptr);
  POLDER_CO_TRY(const stores::StateRoot before, co_await store_state(number, std::move(state)));
  RoomWriter* self = this;
  Rooms::Step step = [self, join, before, partial](Room& room,
                                                   const kv::Snapshot& snapshot) -> Result<Staged> {
    StageInput input;
    input.event = join;
    input.state_before = before;
    input.partial = partial;
    input.replaces_edge = !room.record.local_joined;
    return stage(self->context_, room, snapshot, std::move(input));
  };
  POLDER_CO_TRY(const Staged staged, co_await rooms_.change(number, std::move(step)));
  if (staged.verdict != Verdict::kAccepted) co_return fail(ErrorCode::kForbidden, staged.refusal);
  if (rest) partial_states_->keep_rest(number, staged.stored.place.number, rest);
  const RoomHeadPtr head = rooms_.head(number);
  if (head && head->record.partial) partial_states_->complete_later(number);
  co_return SentEvent{join->id(), staged.stored.record.position};
}

// Makes a room that is new here ready to take events.
Task<Status> RoomWriter::open_room(RoomNumber number, RoomId id,
                                   const events::RoomVersionRules& rules) {
  Room& room = rooms_.room_at(number);
  const auto turn = co_await room.queue.turn();
  POLDER_CO_CHECK(co_await rooms_.begin_turn(room));
  if (room.exists && room.rules != &rules)
    co_return fail(ErrorCode::kInvalid, "the room is known as one of another version");
  if (room.exists) co_return Status();
  room.rules = &rules;
  room.record.id = id;
  room.record.version = rules.id;
  co_return Status();
}

Task<Result<SentEvent>> RoomWriter::enter(const events::RoomVersionRules& rules,
                                          ImportedState state, events::EventPtr join) {
  POLDER_CO_TRY(const RoomNumber number, co_await new_room_number(join->room_id()));
  const events::RoomVersionRules* version = &rules;
  auto make = [this, number, version, join, state = std::move(state)]() mutable {
    return enter_on_shard(number, *version, std::move(state), join);
  };
  co_return co_await runtime::on_shard(parts_.runtime, rooms_.shard_of(number), std::move(make));
}

}  // namespace polder::rooms
