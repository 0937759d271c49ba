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

Task<Status> RoomEntry::leave(MembershipRequest request) {
  return in_line(std::move(request), &RoomEntry::leave_in_turn);
}

Task<Status> RoomEntry::leave_in_turn(MembershipRequest request) {
  POLDER_CO_TRY(EntryContext context, co_await context_of(request.user, request.room));
  if (context.membership == Membership::kLeave) co_return Status();
  if (context.membership == Membership::kNone || context.membership == Membership::kBan)
    co_return fail(ErrorCode::kForbidden, "You are not in the room");
  const UserId user = request.user;
  if (context.followed) co_return co_await send_locally(std::move(request), user, "leave");
  // A refusal of the policy is none of the servers': the user is not rid of the room by it.
  POLDER_CO_CHECK(co_await permit(policy::Point::kLeave, request, {}));
  std::vector<ServerName> servers = servers_for(request, context);
  const Status told =
      co_await through_any_of(std::move(servers), request, context, &RoomEntry::leave_through);
  if (told.ok()) co_return told;
  co_return co_await leave_alone(std::move(request), std::move(context));
}

Task<Status> RoomEntry::leave_through(ServerName server, MembershipRequest request, EntryContext) {
  POLDER_CO_TRY(const auto at, co_await federation_.make_leave(server, request.room, request.user));
  POLDER_CO_TRY(const events::EventPtr event, build(at, request, "leave"));
  POLDER_CO_CHECK(co_await federation_.send_leave(server, event));
  const auto stored = co_await writer_.store_outside_membership(*at.rules, event, {});
  // It may have ended meanwhile.
  if (!stored.ok() && stored.error().code != ErrorCode::kNotFound) co_return stored.error();
  co_return Status();
}

// The invite stands in a room whose servers are away, and learn of it later.
Task<Status> RoomEntry::leave_alone(MembershipRequest request, EntryContext context) {
  stores::LateLeave late;
  late.user = request.user;
  late.room = request.room;
  late.servers = servers_for(request, context);
  late.content = json::write(request.content);
  late.since_ms = runtime().clock().wall_ms();
  if (!late.servers.empty()) {
    const Status kept = co_await late_leaves_.keep(std::move(late));
    if (!kept.ok()) {
      runtime().log().warning("leave_will_not_be_told",
                              {{"room", request.room}, {"reason", kept.error().message}});
    }
  }
  client::MembershipTemplate nowhere;
  nowhere.rules = context.rules != nullptr ? context.rules : some_rules(request.room);
  POLDER_CO_TRY(const events::EventPtr event, build(nowhere, request, "leave"));
  const auto stored = co_await writer_.store_outside_membership(*nowhere.rules, event, {});
  if (!stored.ok() && stored.error().code != ErrorCode::kNotFound) co_return stored.error();
  co_return Status();
}

Task<Status> RoomEntry::retry_leave(stores::LateLeave leave) {
  MembershipRequest request;
  request.user = std::move(leave.user);
  request.room = std::move(leave.room);
  request.via = std::move(leave.servers);
  // The user may be deactivated by now; that they have left was decided when they did.
  request.actor = policy::Server{rooms_.own_name};
  POLDER_CO_TRY(request.content, json::parse_object(leave.content));
  co_return co_await in_line(std::move(request), &RoomEntry::retry_leave_in_turn);
}

// Unless the user has come to something else with the room since.
Task<Status> RoomEntry::retry_leave_in_turn(MembershipRequest request) {
  POLDER_CO_TRY(EntryContext context, co_await context_of(request.user, request.room));
  if (context.followed || context.membership != Membership::kLeave) co_return Status();
  co_return co_await through_some_server(policy::Point::kLeave, std::move(request),
                                         std::move(context), &RoomEntry::leave_through);
}

Task<Status> RoomEntry::knock(MembershipRequest request) {
  return in_line(std::move(request), &RoomEntry::knock_in_turn);
}

Task<Status> RoomEntry::knock_in_turn(MembershipRequest request) {
  POLDER_CO_TRY(EntryContext context, co_await context_of(request.user, request.room));
  if (context.followed) {
    json::Object content = request.content;
    co_return co_await enter_from_within(policy::Point::kKnock, std::move(request),
                                         std::move(content), &RoomEntry::knock_through);
  }
  if (context.membership == Membership::kInvite)
    co_return fail(ErrorCode::kForbidden, "You are invited to the room");
  co_return co_await through_some_server(policy::Point::kKnock, std::move(request),
                                         std::move(context), &RoomEntry::knock_through);
}

Task<Status> RoomEntry::knock_through(ServerName server, MembershipRequest request, EntryContext) {
  POLDER_CO_TRY(const auto at, co_await federation_.make_knock(server, request.room, request.user));
  POLDER_CO_TRY(const events::EventPtr event, build(at, request, "knock"));
  POLDER_CO_TRY(auto state, co_await federation_.send_knock(server, event));
  POLDER_CO_CHECK(co_await writer_.store_outside_membership(*at.rules, event, std::move(state)));
  co_return Status();
}

}  // namespace polder::entry
