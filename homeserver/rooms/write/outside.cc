// Memberships in rooms that this server is not in: invites, knocks, and their ends.
#include <algorithm>

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/client_format.h"
#include "homeserver/rooms/turns/enqueued.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::rooms {
namespace {

using stores::Membership;

constexpr size_t kStrippedMax = 50;
constexpr size_t kStrippedBytesMax = 64 * 1024;
// Invites that wait for one user, who sees all of them in each initial sync; of which the users of
// one other server can have half.
constexpr size_t kInvitesMax = 200;
constexpr size_t kInviteBytesMax = size_t{2} << 20;

bool is_open(Membership membership) {
  return membership == Membership::kInvite || membership == Membership::kKnock;
}

// The four members of stripped state, and nothing else, of what has them
// (https://spec.matrix.org/v1.19/client-server-api/#stripped-state): another server's list goes to
// clients, who trust its form. Nothing of what is left out is needed.
std::optional<json::Object> read_stripped(const json::Value& given) {
  const json::Object* event = given.as_object();
  if (event == nullptr) return {};
  const std::string* type = event->find_string("type");
  const std::string* state_key = event->find_string("state_key");
  const std::string* sender = event->find_string("sender");
  const json::Object* content = event->find_object("content");
  if (type == nullptr || state_key == nullptr || sender == nullptr || content == nullptr) return {};
  if (!UserId::parse(*sender).ok()) return {};
  return json::Object{
      {"content", *content}, {"sender", *sender}, {"state_key", *state_key}, {"type", *type}};
}

// Whether a create event says what the invite or knock was told of its room.
bool fits(const json::Object& stripped, const events::RoomVersionRules& rules) {
  if (*stripped.find_string("type") != "m.room.create") return true;
  const std::string* version = stripped.find_object("content")->find_string("room_version");
  return rules.id == (version != nullptr ? std::string_view(*version) : "1");
}

// What says of which version the room is goes before what is nice to have.
json::Array created_first(json::Array given) {
  json::Array sorted, others;
  for (json::Value& value : given) {
    const json::Object* event = value.as_object();
    const std::string* type = event != nullptr ? event->find_string("type") : nullptr;
    const bool creates = type != nullptr && *type == "m.room.create";
    (creates ? sorted : others).push_back(std::move(value));
  }
  std::ranges::move(others, std::back_inserter(sorted));
  return sorted;
}

// What /sync shows of an invite or knock, bounded.
std::string stripped_text(const events::RoomVersionRules& rules, const events::Event& event,
                          const json::Array& given) {
  json::Array kept;
  size_t bytes = 0;
  for (const json::Value& value : created_first(given)) {
    auto stripped = read_stripped(value);
    if (!stripped || !fits(*stripped, rules)) continue;
    const bool own = *stripped->find_string("type") == "m.room.member" &&
                     *stripped->find_string("state_key") == *event.state_key();
    if (own) continue;
    const size_t size = json::write(*stripped).size();
    if (size > kStrippedBytesMax - bytes || kept.size() == kStrippedMax) continue;
    bytes += size;
    kept.emplace_back(*std::move(stripped));
  }
  kept.emplace_back(events::stripped_state(event));
  return json::write(kept);
}

// The server of who invited, as the stripped state of the invite has it.
std::string inviting_server(const stores::MembershipRow& row, std::string_view user) {
  const auto state = json::parse(row.stripped_state);
  if (!state.ok() || state->as_array() == nullptr) return {};
  const json::Object* invite = events::find_stripped(*state->as_array(), "m.room.member", user);
  const std::string* sender = invite != nullptr ? invite->find_string("sender") : nullptr;
  const auto inviter = UserId::parse(sender != nullptr ? *sender : std::string());
  return inviter.ok() ? std::string(inviter->server()) : std::string();
}

// Whether one more invite of the user may wait.
Status check_invites(const kv::Snapshot& snapshot, stores::UserNumber user, RoomNumber room,
                     const events::Event& invite, size_t size) {
  POLDER_TRY(const auto rooms, stores::read_rooms_of(snapshot, user));
  size_t count = 1;
  size_t bytes = size;
  size_t count_of_server = 1;
  size_t bytes_of_server = size;
  for (const auto& [number, row] : rooms) {
    if (number == room || row.event != 0 || row.membership != Membership::kInvite) continue;
    ++count;
    bytes += row.stripped_state.size();
    if (inviting_server(row, *invite.state_key()) != invite.sender().server()) continue;
    ++count_of_server;
    bytes_of_server += row.stripped_state.size();
  }
  if (count > kInvitesMax || bytes > kInviteBytesMax || count_of_server > kInvitesMax / 2 ||
      bytes_of_server > kInviteBytesMax / 2)
    return fail(ErrorCode::kRateLimited, "too many invites wait for the user");
  return {};
}

}  // namespace

Result<Staged> stage_outside(const StageContext& context, const Room& room,
                             const kv::Snapshot& snapshot, events::EventPtr event,
                             std::string stripped_state) {
  if (room.record.local_joined) return fail(ErrorCode::kExists, "this server is in the room");
  stores::MembershipRow row;
  row.membership = stores::membership_from(event->membership());
  row.stripped_state = std::move(stripped_state);
  if (is_open(row.membership)) row.asked_by = event->id();
  Staged staged;
  POLDER_TRY(const uint64_t user, context.names.intern(stores::NameKind::kUser, *event->state_key(),
                                                       staged.batch, staged.names));
  POLDER_TRY([[maybe_unused]] const uint64_t number,
             context.names.intern(stores::NameKind::kRoom, event->room_id().view(), staged.batch,
                                  staged.names));
  POLDER_TRY(const auto known, stores::read_membership(snapshot, user, room.number));
  staged.outside = OutsideMembership{room.number, UserId::trusted(*event->state_key()), event};
  if (known && known->event == 0 && known->membership == row.membership &&
      known->stripped_state == row.stripped_state && known->asked_by == row.asked_by) {
    staged.outside->position = known->position;
    return staged;
  }
  if (row.membership == Membership::kInvite)
    POLDER_CHECK(check_invites(snapshot, user, room.number, *event, row.stripped_state.size()));
  if (is_open(row.membership)) {
    stores::put_outsider(staged.batch, room.number, user);
  } else if (known && is_open(known->membership)) {
    stores::erase_outsider(staged.batch, room.number, user);
  } else {
    return fail(ErrorCode::kNotFound, "the user is neither invited nor knocking");
  }
  staged.outside_slot = staged.batch.reserve_position();
  stores::put_membership(staged.batch, user, room.number, row, staged.outside_slot);
  return staged;
}

// The turn lasts until the disk has it: the next change of the same membership reads it from there.
Task<Result<SentEvent>> RoomWriter::store_outside_on_shard(RoomNumber number,
                                                           events::EventPtr event,
                                                           std::string stripped_state) {
  Room& room = rooms_.room_at(number);
  const auto turn = co_await room.queue.turn();
  POLDER_CO_CHECK(co_await rooms_.begin_turn(room));
  RoomWriter* self = this;
  Room* target = &room;
  auto staged = co_await runtime::on_pool(
      parts_.runtime, runtime::Lane::kShort,
      [self, target, event, stripped = std::move(stripped_state)] {
        return stage_outside(self->context_, *target, *self->parts_.database.snapshot(), event,
                             stripped);
      });
  if (!staged.ok()) co_return std::move(staged).error();
  if (!staged->outside_slot) co_return SentEvent{event->id(), staged->outside->position};
  POLDER_CO_TRY(const Staged stored,
                co_await rooms_.finish(rooms_.enqueue(room, *std::move(staged))));
  co_return SentEvent{event->id(), stored.outside->position};
}

Task<Result<SentEvent>> RoomWriter::store_outside_membership(const events::RoomVersionRules& rules,
                                                             events::EventPtr event,
                                                             json::Array stripped_state) {
  const Membership membership = stores::membership_from(event->membership());
  if (!event->is("m.room.member") || !event->is_state() || membership == Membership::kNone ||
      membership == Membership::kJoin) {
    co_return fail(ErrorCode::kInvalid, "not an invite, a knock or an end of one");
  }
  POLDER_CO_TRY(const UserId user, UserId::parse(*event->state_key()));
  if (user.server() != parts_.own_name.view())
    co_return fail(ErrorCode::kInvalid, "not a user of this server");
  std::string text = is_open(membership) ? stripped_text(rules, *event, stripped_state)
                                         : "[" + events::client_head(*event, false) + "}]";
  RoomNumber number = 0;
  if (is_open(membership)) {
    POLDER_CO_TRY(number, co_await new_room_number(event->room_id()));
  } else {
    POLDER_CO_TRY(number, co_await rooms_.number_of(event->room_id()));
  }
  auto make = [this, number, event, text = std::move(text)]() mutable {
    return store_outside_on_shard(number, event, std::move(text));
  };
  co_return co_await runtime::on_shard(parts_.runtime, rooms_.shard_of(number), std::move(make));
}

}  // namespace polder::rooms
