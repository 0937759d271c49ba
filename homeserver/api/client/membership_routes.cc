// Who is in a room: joining, inviting, leaving, banning, forgetting.
#include "federation/entry/entry.h"
#include "homeserver/api/client/addresses.h"
#include "homeserver/api/client/api.h"
#include "homeserver/api/client/membership.h"
#include "homeserver/api/client/profiles.h"
#include "homeserver/base/json/write.h"
#include "homeserver/rooms/model/refusals.h"
#include "homeserver/rooms/read/reader.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::client_api {
namespace {

using http::Method;
using http::RateClass;
using http::Response;

Result<UserId> target_of(const Call& call) {
  POLDER_TRY(const std::string user, call.fields().string("user_id"));
  return UserId::parse(user);
}

// Members of a membership's content that are the server's to say.
constexpr std::string_view kAuthoriser = "join_authorised_via_users_server";

// What the caller wants for themselves.
Task<Result<entry::MembershipRequest>> request_of(const Api& api, const Call& call,
                                                  RoomAddress address, std::string membership) {
  entry::MembershipRequest request;
  request.user = call.session().user;
  request.actor = actor_of(call.session());
  request.room = std::move(address.room);
  request.via = std::move(address.servers);
  POLDER_CO_TRY(request.content,
                co_await membership_content(api, request.user, std::move(membership), call.body));
  co_return request;
}

// Rooms that do not let the caller in and rooms that are not known are told alike: nobody finds out
// by trying which rooms there are. What has an errcode of its own is told. To a guest a room that
// lets no guests in is one of them.
Status hide_whether_known(const Call& call, Status entered) {
  if (entered.ok()) return entered;
  const Error& error = entered.error();
  const bool refused = error.code == ErrorCode::kForbidden || error.code == ErrorCode::kNotFound;
  const std::string_view errcode = error.errcode.view();
  const bool special = !errcode.empty() && errcode != "M_FORBIDDEN" && errcode != "M_NOT_FOUND";
  if (!refused) return entered;
  if (call.session().guest && (!special || errcode == "M_GUEST_ACCESS_FORBIDDEN"))
    return fail(ErrorCode::kForbidden, "M_GUEST_ACCESS_FORBIDDEN",
                "The room lets no guests in, or there is none");
  if (special) return entered;
  return fail(ErrorCode::kForbidden, "The room does not let you in, or there is none");
}

// https://spec.matrix.org/v1.19/client-server-api/#joining-rooms
Task<Result<Response>> join(const Api& api, Call& call) {
  const std::string_view named =
      call.path("roomIdOrAlias").empty() ? call.path("roomId") : call.path("roomIdOrAlias");
  POLDER_CO_TRY(auto address, co_await resolve_with_query(api, call, std::string(named)));
  const RoomId room = address.room;
  POLDER_CO_CHECK(call.fields().optional_object("third_party_signed"));
  POLDER_CO_TRY(auto request, co_await request_of(api, call, std::move(address), "join"));
  const json::Object shown = request.content;
  // What else the client gives goes into the event, as with other servers; a name for this room,
  // for instance.
  if (!json::is_canonical(call.body))
    co_return fail(ErrorCode::kInvalid, "M_BAD_JSON", "Numbers must be integers");
  for (const auto& [key, value] : call.body) {
    if (key != "membership" && key != "third_party_signed" && key != kAuthoriser)
      request.content.set(key, value);
  }
  POLDER_CO_CHECK(hide_whether_known(call, co_await api.entry.join(std::move(request))));
  if (!call.body.contains("displayname") && !call.body.contains("avatar_url"))
    POLDER_CO_CHECK(co_await renew_profile(api, call.session(), room, shown));
  co_return ok_json({{"room_id", room.str()}});
}

// https://spec.matrix.org/v1.19/client-server-api/#knocking-on-rooms
Task<Result<Response>> knock(const Api& api, Call& call) {
  POLDER_CO_TRY(auto address,
                co_await resolve_with_query(api, call, std::string(call.path("roomIdOrAlias"))));
  const RoomId room = address.room;
  POLDER_CO_TRY(auto request, co_await request_of(api, call, std::move(address), "knock"));
  POLDER_CO_CHECK(hide_whether_known(call, co_await api.entry.knock(std::move(request))));
  co_return ok_json({{"room_id", room.str()}});
}

// https://spec.matrix.org/v1.19/client-server-api/#leaving-rooms
Task<Result<Response>> leave(const Api& api, Call& call) {
  POLDER_CO_TRY(RoomId room, room_of(call));
  POLDER_CO_TRY(auto request, co_await request_of(api, call, {std::move(room), {}}, "leave"));
  POLDER_CO_CHECK(co_await api.entry.leave(std::move(request)));
  co_return empty_json();
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidinvite
Task<Result<Response>> invite(const Api& api, Call& call) {
  entry::MembershipRequest request;
  request.user = call.session().user;
  request.actor = actor_of(call.session());
  POLDER_CO_TRY(request.room, room_of(call));
  POLDER_CO_TRY(UserId target, target_of(call));
  POLDER_CO_TRY(request.content, co_await membership_content(api, target, "invite", call.body));
  POLDER_CO_CHECK(co_await api.entry.invite(std::move(request), std::move(target)));
  co_return empty_json();
}

Task<Result<rooms::SentEvent>> set_membership(const Api& api, const Call& call, RoomId room,
                                              UserId target, std::string membership) {
  rooms::LocalEvent event;
  event.sender = call.session().user;
  event.type = "m.room.member";
  event.state_key = target.str();
  event.actor = actor_of(call.session());
  POLDER_CO_TRY(event.content, co_await membership_content(api, target, membership, call.body));
  co_return co_await api.writer.send(std::move(room), std::move(event));
}

// A change of somebody else, from what they are.
Task<Result<Response>> change_other(const Api& api, const Call& call, std::string change,
                                    std::optional<stores::Membership> from) {
  POLDER_CO_TRY(const RoomId room, room_of(call));
  POLDER_CO_TRY(const UserId target, target_of(call));
  POLDER_CO_TRY(const auto now,
                co_await current_membership(api, room, call.session().user, target));
  if (from == stores::Membership::kBan && now != stores::Membership::kBan)
    co_return fail(ErrorCode::kForbidden, "The user is not banned");
  if (from == stores::Membership::kJoin &&
      (now == stores::Membership::kNone || now == stores::Membership::kLeave ||
       now == stores::Membership::kBan)) {
    co_return fail(ErrorCode::kForbidden, "The user is not in the room");
  }
  POLDER_CO_CHECK(co_await set_membership(api, call, room, target, change));
  co_return empty_json();
}

// A leave of somebody else who is in the room.
Task<Result<Response>> kick(const Api& api, Call& call) {
  return change_other(api, call, "leave", stores::Membership::kJoin);
}

Task<Result<Response>> ban(const Api& api, Call& call) {
  return change_other(api, call, "ban", std::nullopt);
}

// A leave of somebody who is banned.
Task<Result<Response>> unban(const Api& api, Call& call) {
  return change_other(api, call, "leave", stores::Membership::kBan);
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidforget
Task<Result<Response>> forget(const Api& api, Call& call) {
  POLDER_CO_TRY(RoomId room, room_of(call));
  const Status forgotten = co_await api.writer.forget(std::move(room), call.session().user);
  if (!forgotten.ok() && forgotten.error().code == ErrorCode::kExists)
    co_return fail(ErrorCode::kInvalid, "M_UNKNOWN", "You are still in the room");
  if (!forgotten.ok() && forgotten.error().code == ErrorCode::kNotFound)
    co_return fail(ErrorCode::kNotFound, "You were never in this room");
  if (!forgotten.ok()) co_return forgotten.error();
  co_return empty_json();
}

Task<Result<EventId>> current_member_event(const Api& api, RoomId room, UserId user) {
  co_return co_await runtime::on_pool(api.runtime, [&api, room, user]() -> Result<EventId> {
    POLDER_TRY(const auto head, api.rooms.head(room));
    if (!head) return fail(ErrorCode::kNotFound, "Unknown room");
    const rooms::RoomReader reader(api.rooms, head);
    POLDER_TRY(const auto event,
               reader.state_event(head->record.state, "m.room.member", user.view()));
    if (!event) return fail(ErrorCode::kNotFound, "The user is not in the room");
    return event->id();
  });
}

}  // namespace

policy::Actor actor_of(const users::Session& session) {
  return policy::Client{session.user, session.device};
}

Task<Result<stores::Membership>> current_membership(const Api& api, RoomId room, UserId asker,
                                                    UserId user) {
  using stores::Membership;
  co_return co_await runtime::on_pool(
      api.runtime, [&api, room, asker, user]() -> Result<Membership> {
        POLDER_TRY(const auto head, api.rooms.head(room));
        if (!head) return asker == user ? Result(Membership::kNone) : rooms::not_in_room();
        const rooms::RoomReader reader(api.rooms, head);
        POLDER_TRY(const auto of, reader.reader(asker));
        if (asker == user) return of.membership.membership;
        if (of.membership.membership != Membership::kJoin) return rooms::not_in_room();
        POLDER_TRY(const auto other, reader.reader(user));
        return other.membership.membership;
      });
}

// Entering a restricted room needs somebody who authorises it, and inviting a user of another
// server that server: the same as through the endpoints for it.
Task<Result<EventId>> send_membership(const Api& api, Call& call, RoomId room, UserId target) {
  json::Object content = std::move(call.body);
  content.erase(kAuthoriser);
  const UserId user = call.session().user;
  const policy::Actor actor = actor_of(call.session());
  const std::string* named = content.find_string("membership");
  const std::string membership = named != nullptr ? *named : "";
  POLDER_CO_TRY(const auto now, co_await current_membership(api, room, user, target));
  if (membership == "join" && target == user && now != stores::Membership::kJoin) {
    POLDER_CO_CHECK(hide_whether_known(
        call, co_await api.entry.join({user, room, std::move(content), {}, actor})));
    co_return co_await current_member_event(api, room, target);
  }
  if (membership == "invite" && !api.accounts.is_local(target)) {
    POLDER_CO_CHECK(co_await api.entry.invite({user, room, std::move(content), {}, actor}, target));
    co_return co_await current_member_event(api, room, target);
  }
  rooms::LocalEvent event;
  event.sender = user;
  event.type = "m.room.member";
  event.state_key = target.str();
  event.content = std::move(content);
  event.actor = actor;
  const auto sent = co_await api.writer.send(room, std::move(event));
  if (!sent.ok() && sent.error().code == ErrorCode::kNotFound) co_return rooms::not_in_room();
  if (!sent.ok()) co_return sent.error();
  co_return sent->id;
}

Task<Result<json::Object>> membership_content(const Api& api, UserId user, std::string membership,
                                              json::Object body) {
  json::Object content{{"membership", membership}};
  POLDER_CO_TRY(const auto reason, json::Reader(body).optional_string("reason"));
  if (reason) content.set("reason", *reason);
  const bool shows_profile =
      membership == "join" || membership == "invite" || membership == "knock";
  if (!shows_profile || !api.accounts.is_local(user)) co_return content;
  const auto account = co_await api.accounts.account(std::move(user));
  if (!account.ok()) co_return account.error();
  if (!account->displayname.empty()) content.set("displayname", account->displayname);
  if (!account->avatar_url.empty()) content.set("avatar_url", account->avatar_url);
  co_return content;
}

namespace {

// Who changes their own membership needs to say nothing.
constexpr kit::Terms kEnter{.rate = RateClass::kJoin,
                            .body_max = kLargeBody,
                            .body = http::Body::kOptional,
                            .changes_own_place = true};
constexpr kit::Terms kLeave{
    .body_max = kLargeBody, .body = http::Body::kOptional, .changes_own_place = true};
constexpr kit::Terms kOther{.rate = RateClass::kMessage, .body_max = kLargeBody};
constexpr Operation kMembershipOperations[] = {
    {"joinRoom", Method::kPost, "/_matrix/client/v3/join/{roomIdOrAlias}", join, kEnter},
    {"knockRoom", Method::kPost, "/_matrix/client/v3/knock/{roomIdOrAlias}", knock, kEnter},
    {"joinRoomById", Method::kPost, "/_matrix/client/v3/rooms/{roomId}/join", join, kEnter},
    {"leaveRoom", Method::kPost, "/_matrix/client/v3/rooms/{roomId}/leave", leave, kLeave},
    {"forgetRoom", Method::kPost, "/_matrix/client/v3/rooms/{roomId}/forget", forget, kLeave},
    {"inviteUser", Method::kPost, "/_matrix/client/v3/rooms/{roomId}/invite", invite, kOther},
    {"kick", Method::kPost, "/_matrix/client/v3/rooms/{roomId}/kick", kick, kOther},
    {"ban", Method::kPost, "/_matrix/client/v3/rooms/{roomId}/ban", ban, kOther},
    {"unban", Method::kPost, "/_matrix/client/v3/rooms/{roomId}/unban", unban, kOther},
};

}  // namespace

void add_membership_routes(http::Router& router, const Api& api) {
  add_operations(router, api, kMembershipOperations);
}

}  // namespace polder::client_api
