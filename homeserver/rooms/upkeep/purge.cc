// Purging whole rooms: first, in the room's turn, it is no longer there; then, in the background,
// what leads to its events is erased in small steps, and at last all else by ranges.
#include "homeserver/protocol/events/client_format.h"
#include "homeserver/rooms/upkeep/upkeep.h"
#include "storage/stores/rooms/directory_rows.h"
#include "storage/stores/rooms/purge_rows.h"

namespace polder::rooms {
namespace {

using stores::Membership;
using stores::PurgeRow;

constexpr EventNumber kEventsAStep = 200;
constexpr Millis kBreathAfterStep{5};  // between two steps, for others

// What users know of a room that goes.
class Mentions {
 public:
  Mentions(const Room& room, const RoomView& view, const ServerName& own_name, kv::Batch& batch)
      : room_(room), view_(view), own_name_(own_name), batch_(batch) {}

  // The memberships that follow from the current state, those of users outside, and the aliases.
  Status erase() {
    const stores::Names& names = view_.names();
    POLDER_TRY(const auto keys, keys_of_members());
    for (const uint64_t key : keys) {
      POLDER_TRY(const std::string name, names.name(stores::NameKind::kStateKey, key));
      POLDER_TRY(const auto user, names.find(stores::NameKind::kUser, name));
      if (user) POLDER_CHECK(end_membership(*user, name));
    }
    POLDER_TRY(const auto outsiders, stores::read_outsiders(view_.snapshot(), room_.number));
    for (const stores::UserNumber user : outsiders) {
      POLDER_TRY(const std::string name, names.name(stores::NameKind::kUser, user));
      POLDER_CHECK(end_membership(user, name));
    }
    POLDER_TRY(const auto aliases, stores::read_aliases_of(view_.snapshot(), room_.record.id));
    for (const RoomAlias& alias : aliases)
      stores::erase_alias(batch_, alias, room_.record.id);
    return {};
  }

 private:
  Result<std::vector<uint64_t>> keys_of_members() const {
    std::vector<uint64_t> keys;
    POLDER_TRY(const auto type, view_.names().find(stores::NameKind::kType, "m.room.member"));
    if (!type) return keys;
    POLDER_CHECK(stores::state_for_each(view_.nodes(), room_.record.state,
                                        static_cast<uint32_t>(*type),
                                        [&](const stores::StateEntry& entry) {
                                          keys.push_back(entry.key.key);
                                          return true;
                                        }));
    return keys;
  }

  // Clients show a room until they are told that it was left, also those that come much later. So
  // of a user of this server there stays that they are out of it, from when that came to be, with
  // what redaction leaves of the event. Who still was invited, or knocked, is out from now on.
  Status end_membership(stores::UserNumber user, const std::string& name) {
    const auto id = UserId::parse(name);
    if (!id.ok() || id->server() != own_name_.view()) {
      stores::erase_membership(batch_, user, room_.number);
      return {};
    }
    POLDER_TRY(auto row, stores::read_membership(view_.snapshot(), user, room_.number));
    if (!row) return {};
    std::optional<kv::PositionSlot> now;
    if (row->membership != Membership::kLeave && row->membership != Membership::kBan) {
      if (!ended_) ended_ = batch_.reserve_position();
      now = ended_;
      row->membership = Membership::kLeave;
      row->stripped_state.clear();
    } else if (row->event != 0) {
      POLDER_TRY(const HeldEvent held, view_.load(row->event));
      row->stripped_state = "[" + events::client_head(*held.event, true) + "}]";
    }
    row->event = 0;
    row->asked_by = {};
    row->forgotten = true;
    stores::put_membership(batch_, user, room_.number, *row, now);
    return {};
  }

  const Room& room_;
  const RoomView& view_;
  const ServerName& own_name_;
  kv::Batch& batch_;
  std::optional<kv::PositionSlot> ended_;  // the position of this end
};

Result<kv::Batch> stage_purge(const Room& room, const RoomView& view, const ServerName& own_name) {
  if (!room.exists) return fail(ErrorCode::kNotFound, "no such room here");
  if (room.record.local_joined)
    return fail(ErrorCode::kForbidden, "users of this server are in the room");
  kv::Batch batch;
  POLDER_CHECK(Mentions(room, view, own_name, batch).erase());
  stores::erase_room(batch, room.number);
  stores::put_purge(batch, room.number,
                    {room.record.version, room.record.last_event, room.record.last_node});
  return batch;
}

// Takes the next events out of the indexes, or, after the last, erases what is left.
Result<kv::Batch> stage_erasing(const kv::Snapshot& snapshot, RoomNumber room, PurgeRow& row) {
  kv::Batch batch;
  const events::RoomVersionRules* rules = events::find_room_version(row.version);
  if (rules == nullptr) return fail(ErrorCode::kCorrupt, "a purged room of an unknown version");
  const EventNumber end = std::min(row.last_event, row.unlisted + kEventsAStep);
  row.done = row.unlisted == row.last_event;
  while (row.unlisted < end) {
    const stores::EventPlace place{room, ++row.unlisted};
    POLDER_TRY(const auto json, stores::read_event_json(snapshot, place));
    POLDER_TRY(const auto record, stores::read_event_record(snapshot, place));
    if (!json || !record) continue;
    POLDER_TRY(const auto event, events::Event::parse(*json, *rules));
    stores::unlist_event(batch, event->id(), record->position);
  }
  if (row.done) {
    for (const auto& [column, range] : stores::ranges_of_room(room))
      batch.erase_range(column, range.from, range.to);
  }
  stores::put_purge(batch, room, row);
  return batch;
}

}  // namespace

Task<Status> RoomUpkeep::begin_purge(RoomNumber number, policy::Actor actor) {
  Room& room = rooms_.room_at(number);
  const auto turn = co_await room.queue.turn();
  POLDER_CO_CHECK(co_await rooms_.begin_turn(room));
  RoomUpkeep* self = this;
  Room* target = &room;
  POLDER_CO_TRY(
      auto batch,
      co_await runtime::on_pool(
          parts_.runtime, runtime::Lane::kLong, [self, target, actor]() -> Result<kv::Batch> {
            const auto snapshot = self->parts_.database.snapshot();
            const RoomView view(*target, *snapshot, self->parts_.names, self->caches_);
            POLDER_TRY(auto staged, stage_purge(*target, view, self->parts_.own_name));
            POLDER_CHECK(self->writer_.permit_with(
                *snapshot, {.point = policy::Point::kPurge, .room = target->record.id.str()}, actor,
                staged));
            return staged;
          }));
  POLDER_CO_CHECK(co_await parts_.committer.commit(
      std::move(batch), kv::Durability::kDurable,
      [this, number](kv::Committed) { rooms_.remove_head(number); }));
  room.failed = true;  // what is in memory is void: the next turn reads anew
  co_return Status();
}

Task<Status> RoomUpkeep::erase_purged(RoomNumber number) {
  for (;;) {
    auto row = std::make_shared<PurgeRow>();
    RoomUpkeep* self = this;
    POLDER_CO_TRY(
        auto batch,
        co_await runtime::on_pool(
            parts_.runtime, runtime::Lane::kLong, [self, number, row]() -> Result<kv::Batch> {
              const auto snapshot = self->parts_.database.snapshot();
              POLDER_TRY(const auto read, stores::read_purge(*snapshot, number));
              if (!read || read->done) return kv::Batch();
              *row = *read;
              return stage_erasing(*snapshot, number, *row);
            }));
    if (batch.empty()) co_return Status();
    POLDER_CO_CHECK(co_await parts_.committer.commit(std::move(batch)));
    if (row->done) break;
    co_await runtime::sleep_for(parts_.runtime, kBreathAfterStep);
  }
  RoomUpkeep* self = this;
  co_return co_await runtime::on_pool(
      parts_.runtime, runtime::Lane::kLong, [self, number]() -> Status {
        for (const auto& [column, range] : stores::ranges_of_room(number))
          POLDER_CHECK(self->parts_.database.compact(column, range));
        return {};
      });
}

Task<Status> RoomUpkeep::purge(RoomId room, policy::Actor actor) {
  POLDER_CO_TRY(const RoomNumber number, co_await rooms_.number_of(std::move(room)));
  auto begin = [this, number, actor] { return begin_purge(number, actor); };
  POLDER_CO_CHECK(
      co_await runtime::on_shard(parts_.runtime, rooms_.shard_of(number), std::move(begin)));
  co_return co_await erase_purged(number);
}

Task<void> RoomUpkeep::finish_purges() {
  struct Unfinished {
    std::vector<RoomNumber> rooms, histories;
  };
  RoomUpkeep* self = this;
  const auto found = co_await runtime::on_pool(
      parts_.runtime, runtime::Lane::kLong, [self]() -> Result<Unfinished> {
        Unfinished unfinished;
        const auto snapshot = self->parts_.database.snapshot();
        POLDER_CHECK(stores::for_each_purge(*snapshot, [&](RoomNumber room, const PurgeRow& row) {
          if (!row.done) unfinished.rooms.push_back(room);
          return Status();
        }));
        POLDER_CHECK(stores::for_each_history_purge(
            *snapshot, [&](RoomNumber room, const stores::HistoryPurgeRow& row) {
              if (!row.done) unfinished.histories.push_back(room);
              return Status();
            }));
        return unfinished;
      });
  Status outcome = found.ok() ? Status() : Status(found.error());
  for (size_t i = 0; outcome.ok() && i < found->rooms.size(); ++i)
    outcome = co_await erase_purged(found->rooms[i]);
  if (!outcome.ok())
    parts_.runtime.log().error("purge_failed", {{"reason", outcome.error().message}});
  if (!found.ok()) co_return;
  for (const RoomNumber number : found->histories) {
    runtime::spawn(parts_.runtime, parts_.runtime.shard(rooms_.shard_of(number)), "purge_history",
                   erase_history_and_tell(number));
  }
}

}  // namespace polder::rooms
