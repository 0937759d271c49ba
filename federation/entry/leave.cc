// Leaving, declining and knocking.
// https://spec.matrix.org/v1.19/server-server-api/#leaving-rooms-rejecting-invites
// https://spec.matrix.org/v1.19/server-server-api/#knocking-rooms
#include "federation/entry/entry.h"
#include "federation/entry/line.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"

namespace polder::entry {
namespace {

using stores::Membership;

// Of a room of which nothing but its id is known: any version that has such ids will do for an
// event that no other server sees.
const events::RoomVersionRules* some_rules(const RoomId& room) {
  const events::RoomVersionRules* found = nullptr;
  for (const events::RoomVersionRules& rules : events::room_versions()) {
    if (rules.room_id_is_create_hash != room.server().has_value()) found = &rules;
  }
  return found;
}

}  // namespace

Task<Status> RoomEntry::leave(Wish wish) {
  return on_shard(std::move(wish), &RoomEntry::leave_in_line);
}

Task<Status> RoomEntry::leave_in_line(Wish wish) {
  return in_line(std::move(wish), &RoomEntry::leave_in_turn);
}

Task<Status> RoomEntry::leave_in_turn(Wish wish) {
  POLDER_CO_TRY(Place place, co_await place_of(wish.user, wish.room));
  if (place.membership == Membership::kLeave) co_return Status();
  if (place.membership == Membership::kNone || place.membership == Membership::kBan)
    co_return fail(ErrorCode::kForbidden, "You are not in the room");
  const UserId user = wish.user;
  if (place.followed) co_return co_await send_locally(std::move(wish), user, "leave");
  const Status told =
      co_await through_some_server(policy::Point::kLeave, wish, place, &RoomEntry::leave_through);
  if (told.ok()) co_return told;
  co_return co_await leave_alone(std::move(wish), std::move(place));
}

Task<Status> RoomEntry::leave_through(ServerName server, Wish wish, Place) {
  POLDER_CO_TRY(const auto at, co_await federation_.make_leave(server, wish.room, wish.user));
  POLDER_CO_TRY(const events::EventPtr event, build(at, wish, "leave"));
  POLDER_CO_CHECK(co_await federation_.send_leave(server, event));
  const auto stored = co_await rooms_.store_outside_membership(*at.rules, event, {});
  // It may have ended meanwhile.
  if (!stored.ok() && stored.error().code != ErrorCode::kNotFound) co_return stored.error();
  co_return Status();
}

// The invite stands in a room whose servers are away, and learn of it later.
Task<Status> RoomEntry::leave_alone(Wish wish, Place place) {
  stores::LateLeave late;
  late.user = wish.user;
  late.room = wish.room;
  late.servers = servers_for(wish, place);
  late.content = json::write(wish.content);
  late.since_ms = runtime().clock().wall_ms();
  if (!late.servers.empty()) {
    const Status kept = co_await late_leaves_.keep(std::move(late));
    if (!kept.ok()) {
      runtime().log().warning("leave_will_not_be_told",
                              {{"room", wish.room}, {"reason", kept.error().message}});
    }
  }
  client::MembershipTemplate nowhere;
  nowhere.rules = place.rules != nullptr ? place.rules : some_rules(wish.room);
  POLDER_CO_TRY(const events::EventPtr event, build(nowhere, wish, "leave"));
  const auto stored = co_await rooms_.store_outside_membership(*nowhere.rules, event, {});
  if (!stored.ok() && stored.error().code != ErrorCode::kNotFound) co_return stored.error();
  co_return Status();
}

Task<Status> RoomEntry::tell_late(stores::LateLeave leave) {
  Wish wish;
  wish.user = std::move(leave.user);
  wish.room = std::move(leave.room);
  wish.via = std::move(leave.servers);
  // The user may be deactivated by now; that they have left was decided when they did.
  wish.actor = policy::Server{rooms_.parts().own_name};
  POLDER_CO_TRY(wish.content, json::parse_object(leave.content));
  co_return co_await on_shard(std::move(wish), &RoomEntry::tell_late_in_line);
}

Task<Status> RoomEntry::tell_late_in_line(Wish wish) {
  return in_line(std::move(wish), &RoomEntry::tell_late_in_turn);
}

// Unless the user has come to something else with the room since.
Task<Status> RoomEntry::tell_late_in_turn(Wish wish) {
  POLDER_CO_TRY(Place place, co_await place_of(wish.user, wish.room));
  if (place.followed || place.membership != Membership::kLeave) co_return Status();
  co_return co_await through_some_server(policy::Point::kLeave, std::move(wish), std::move(place),
                                         &RoomEntry::leave_through);
}

Task<Status> RoomEntry::knock(Wish wish) {
  return on_shard(std::move(wish), &RoomEntry::knock_in_line);
}

Task<Status> RoomEntry::knock_in_line(Wish wish) {
  return in_line(std::move(wish), &RoomEntry::knock_in_turn);
}

Task<Status> RoomEntry::knock_in_turn(Wish wish) {
  POLDER_CO_TRY(Place place, co_await place_of(wish.user, wish.room));
  if (place.followed) {
    json::Object content = wish.content;
    co_return co_await enter_from_within(policy::Point::kKnock, std::move(wish), std::move(content),
                                         &RoomEntry::knock_through);
  }
  if (place.membership == Membership::kInvite)
    co_return fail(ErrorCode::kForbidden, "You are invited to the room");
  co_return co_await through_some_server(policy::Point::kKnock, std::move(wish), std::move(place),
                                         &RoomEntry::knock_through);
}

Task<Status> RoomEntry::knock_through(ServerName server, Wish wish, Place) {
  POLDER_CO_TRY(const auto at, co_await federation_.make_knock(server, wish.room, wish.user));
  POLDER_CO_TRY(const events::EventPtr event, build(at, wish, "knock"));
  POLDER_CO_TRY(auto state, co_await federation_.send_knock(server, event));
  POLDER_CO_CHECK(co_await rooms_.store_outside_membership(*at.rules, event, std::move(state)));
  co_return Status();
}

}  // namespace polder::entry
