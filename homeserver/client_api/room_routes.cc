// Changing rooms: membership, events, state, redaction, aliases.
#include "homeserver/client_api/api.h"
#include "homeserver/client_api/create_room.h"
#include "homeserver/json/write.h"
#include "homeserver/rooms/reader.h"
#include "storage/stores/directory_rows.h"

namespace polder::client_api {
namespace {

using http::Authentication;
using http::Method;
using http::RateClass;
using http::Response;

constexpr size_t kTransactionIdBytesMax = 255;

// The profile of a local user as their membership carries it.
Task<Result<json::Object>> membership_content(const Api& api, UserId user, std::string membership,
                                              const json::Object& body) {
  json::Object content{{"membership", membership}};
  if (const std::string* reason = body.find_string("reason")) content.set("reason", *reason);
  const bool shows_profile =
      membership == "join" || membership == "invite" || membership == "knock";
  if (!shows_profile || !api.users.is_local(user)) co_return content;
  const auto account = co_await api.users.account(std::move(user));
  if (!account.ok()) co_return account.error();
  if (!account->displayname.empty()) content.set("displayname", account->displayname);
  if (!account->avatar_url.empty()) content.set("avatar_url", account->avatar_url);
  co_return content;
}

Task<Result<rooms::SentEvent>> set_membership(const Api& api, const Call& call, RoomId room,
                                              UserId target, std::string membership) {
  rooms::LocalEvent event;
  event.sender = call.session().user;
  event.type = "m.room.member";
  event.state_key = target.str();
  POLDER_CO_TRY(event.content, co_await membership_content(api, target, membership, call.body));
  co_return co_await api.rooms.send(std::move(room), std::move(event));
}

Result<RoomId> room_of(const Call& call) {
  return RoomId::parse(call.path("roomId"));
}

Result<UserId> target_of(const Call& call) {
  const std::string* user = call.body.find_string("user_id");
  if (user == nullptr)
    return matrix_error(ErrorCode::kInvalid, "M_MISSING_PARAM", "Missing user_id");
  return UserId::parse(*user);
}

Task<Result<stores::Membership>> current_membership(const Api& api, RoomId room, UserId user) {
  co_return co_await runtime::on_pool(
      api.runtime, [&api, room, user]() -> Result<stores::Membership> {
        POLDER_TRY(const auto head, api.rooms.head(room));
        if (!head) return fail(ErrorCode::kNotFound, "Unknown room");
        const rooms::RoomReader reader(api.rooms, api.database.snapshot(), head);
        POLDER_TRY(const auto of, reader.reader(user));
        return of.membership.membership;
      });
}

Task<Result<RoomId>> resolve(const Api& api, std::string room_or_alias) {
  if (!room_or_alias.starts_with('#')) co_return RoomId::parse(room_or_alias);
  POLDER_CO_TRY(const RoomAlias alias, RoomAlias::parse(room_or_alias));
  POLDER_CO_TRY(const auto row, co_await runtime::on_pool(api.runtime, [&api, alias] {
                  return stores::read_alias(*api.database.snapshot(), alias);
                }));
  if (!row) co_return fail(ErrorCode::kNotFound, "Room alias not found");
  co_return row->room;
}

// https://spec.matrix.org/v1.19/client-server-api/#joining-rooms. Joining twice is no error, and no
// event.
Task<Result<Response>> join(const Api& api, Call& call) {
  const std::string_view named =
      call.path("roomIdOrAlias").empty() ? call.path("roomId") : call.path("roomIdOrAlias");
  POLDER_CO_TRY(const RoomId room, co_await resolve(api, std::string(named)));
  POLDER_CO_TRY(const auto membership, co_await current_membership(api, room, call.session().user));
  if (membership != stores::Membership::kJoin) {
    POLDER_CO_CHECK(co_await set_membership(api, call, room, call.session().user, "join"));
  }
  co_return ok_json({{"room_id", room.str()}});
}

Task<Result<Response>> leave(const Api& api, Call& call) {
  POLDER_CO_TRY(const RoomId room, room_of(call));
  POLDER_CO_TRY(const auto membership, co_await current_membership(api, room, call.session().user));
  if (membership != stores::Membership::kLeave) {
    POLDER_CO_CHECK(co_await set_membership(api, call, room, call.session().user, "leave"));
  }
  co_return empty_json();
}

// kick is a leave of somebody else who is in the room, unban one of somebody who is banned.
Action change_of_other(std::string membership, std::optional<stores::Membership> needed) {
  return [membership, needed](const Api& api, Call& call) -> Task<Result<Response>> {
    return [](const Api& services, Call& of, std::string change,
              std::optional<stores::Membership> from) -> Task<Result<Response>> {
      POLDER_CO_TRY(const RoomId room, room_of(of));
      POLDER_CO_TRY(const UserId target, target_of(of));
      POLDER_CO_TRY(const auto now, co_await current_membership(services, room, target));
      if (from == stores::Membership::kBan && now != stores::Membership::kBan)
        co_return fail(ErrorCode::kForbidden, "The user is not banned");
      if (from == stores::Membership::kJoin &&
          (now == stores::Membership::kNone || now == stores::Membership::kLeave ||
           now == stores::Membership::kBan)) {
        co_return fail(ErrorCode::kForbidden, "The user is not in the room");
      }
      POLDER_CO_CHECK(co_await set_membership(services, of, room, target, change));
      co_return empty_json();
    }(api, call, membership, needed);
  };
}

Task<Result<Response>> forget(const Api& api, Call& call) {
  POLDER_CO_TRY(const RoomId room, room_of(call));
  POLDER_CO_TRY(const auto number, api.rooms.find(room));
  if (!number) co_return fail(ErrorCode::kNotFound, "Unknown room");
  const auto user = call.session().number;
  POLDER_CO_TRY(auto row, co_await runtime::on_pool(api.runtime, [&api, user, number] {
                  return stores::read_membership(*api.database.snapshot(), user, *number);
                }));
  if (!row) co_return fail(ErrorCode::kNotFound, "You were never in this room");
  if (row->membership != stores::Membership::kLeave &&
      row->membership != stores::Membership::kBan) {
    co_return matrix_error(ErrorCode::kInvalid, "M_UNKNOWN", "You are still in the room");
  }
  row->forgotten = true;
  kv::Batch batch;
  stores::put_membership(batch, user, *number, *row, std::nullopt);
  POLDER_CO_CHECK(co_await api.committer.commit(std::move(batch)));
  co_return empty_json();
}

// Sends an event once for a transaction id, which is committed with it: a client that asks again,
// also after a crash, gets the same event.
Task<Result<Response>> send_once(const Api& api, Call& call, RoomId room, rooms::LocalEvent event,
                                 std::string scope) {
  const std::string id(call.path("txnId"));
  if (id.empty() || id.size() > kTransactionIdBytesMax)
    co_return fail(ErrorCode::kInvalid, "The transaction id is too long");
  const users::Session session = call.session();
  scope.append("|").append(room.view());
  POLDER_CO_TRY(const auto known,
                co_await runtime::on_pool(api.runtime, [&api, session, scope, id] {
                  return stores::read_transaction(*api.database.snapshot(), session.number,
                                                  session.device, scope, id);
                }));
  if (known) co_return ok_json({{"event_id", *known}});
  event.with = [session, scope, id](kv::Batch& batch, const events::Event& sent) {
    stores::put_transaction(batch, session.number, session.device, scope, id, sent.id().view());
    stores::put_event_transaction(batch, session.number, session.device, sent.id(), id);
  };
  POLDER_CO_TRY(const rooms::SentEvent sent,
                co_await api.rooms.send(std::move(room), std::move(event)));
  co_return ok_json({{"event_id", sent.id.str()}});
}

Task<Result<Response>> send_message(const Api& api, Call& call) {
  POLDER_CO_TRY(const RoomId room, room_of(call));
  if (!json::is_canonical(call.body))
    co_return matrix_error(ErrorCode::kInvalid, "M_BAD_JSON", "Numbers must be integers");
  rooms::LocalEvent event;
  event.sender = call.session().user;
  event.type = call.path("eventType");
  event.content = std::move(call.body);
  if (event.type == "m.room.redaction") {
    if (const std::string* target = event.content.find_string("redacts")) {
      POLDER_CO_TRY(event.redacts, EventId::parse(*target));
    }
  }
  co_return co_await send_once(api, call, room, std::move(event), "send");
}

Task<Result<Response>> redact(const Api& api, Call& call) {
  POLDER_CO_TRY(const RoomId room, room_of(call));
  rooms::LocalEvent event;
  event.sender = call.session().user;
  event.type = "m.room.redaction";
  POLDER_CO_TRY(event.redacts, EventId::parse(call.path("eventId")));
  if (const std::string* reason = call.body.find_string("reason"))
    event.content.set("reason", *reason);
  co_return co_await send_once(api, call, room, std::move(event), "redact");
}

Task<Result<Response>> put_state(const Api& api, Call& call) {
  POLDER_CO_TRY(const RoomId room, room_of(call));
  if (!json::is_canonical(call.body))
    co_return matrix_error(ErrorCode::kInvalid, "M_BAD_JSON", "Numbers must be integers");
  rooms::LocalEvent event;
  event.sender = call.session().user;
  event.type = call.path("eventType");
  event.state_key = std::string(call.path("stateKey"));
  event.content = std::move(call.body);
  POLDER_CO_TRY(const rooms::SentEvent sent, co_await api.rooms.send(room, std::move(event)));
  co_return ok_json({{"event_id", sent.id.str()}});
}

Task<Result<Response>> create(const Api& api, Call& call) {
  auto profile = co_await membership_content(api, call.session().user, "join", {});
  if (!profile.ok()) co_return profile.error();
  POLDER_CO_TRY(RoomPlan plan,
                plan_room(call.body, call.session().user, *std::move(profile),
                          api.users.parts().own_name, api.settings.default_room_version));
  if (plan.alias) {
    const auto taken = co_await runtime::on_pool(api.runtime, [&api, alias = *plan.alias] {
      return stores::read_alias(*api.database.snapshot(), alias);
    });
    if (!taken.ok()) co_return taken.error();
    if (*taken) co_return matrix_error(ErrorCode::kInvalid, "M_ROOM_IN_USE", "The alias is taken");
    plan.events.back().with = [alias = *plan.alias, user = call.session().user](
                                  kv::Batch& batch, const events::Event& event) {
      stores::put_alias(batch, alias, {event.room_id(), user});
    };
  }
  POLDER_CO_TRY(const RoomId room, co_await api.rooms.create(*plan.rules, std::move(plan.events)));
  co_return ok_json({{"room_id", room.str()}});
}

Task<Result<Response>> get_alias(const Api& api, Call& call) {
  POLDER_CO_TRY(const RoomId room, co_await resolve(api, std::string(call.path("roomAlias"))));
  co_return ok_json(
      {{"room_id", room.str()}, {"servers", json::Array(1, api.users.parts().own_name.str())}});
}

Task<Result<Response>> put_alias(const Api& api, Call& call) {
  POLDER_CO_TRY(const RoomAlias alias, RoomAlias::parse(call.path("roomAlias")));
  if (alias.server() != api.users.parts().own_name.view())
    co_return fail(ErrorCode::kInvalid, "The alias is of another server");
  const std::string* named = call.body.find_string("room_id");
  if (named == nullptr)
    co_return matrix_error(ErrorCode::kInvalid, "M_MISSING_PARAM", "Missing room_id");
  POLDER_CO_TRY(const RoomId room, RoomId::parse(*named));
  POLDER_CO_TRY(const auto membership, co_await current_membership(api, room, call.session().user));
  if (membership != stores::Membership::kJoin)
    co_return fail(ErrorCode::kForbidden, "You are not in the room");
  POLDER_CO_TRY(const auto taken, co_await runtime::on_pool(api.runtime, [&api, alias] {
                  return stores::read_alias(*api.database.snapshot(), alias);
                }));
  if (taken) co_return matrix_error(ErrorCode::kExists, "M_UNKNOWN", "The alias is taken");
  kv::Batch batch;
  stores::put_alias(batch, alias, {room, call.session().user});
  POLDER_CO_CHECK(co_await api.committer.commit(std::move(batch)));
  co_return empty_json();
}

Task<Result<Response>> delete_alias(const Api& api, Call& call) {
  POLDER_CO_TRY(const RoomAlias alias, RoomAlias::parse(call.path("roomAlias")));
  POLDER_CO_TRY(const auto row, co_await runtime::on_pool(api.runtime, [&api, alias] {
                  return stores::read_alias(*api.database.snapshot(), alias);
                }));
  if (!row) co_return fail(ErrorCode::kNotFound, "Room alias not found");
  if (row->creator != call.session().user && !call.session().admin)
    co_return fail(ErrorCode::kForbidden, "The alias is not yours");
  kv::Batch batch;
  stores::erase_alias(batch, alias, row->room);
  POLDER_CO_CHECK(co_await api.committer.commit(std::move(batch)));
  co_return empty_json();
}

}  // namespace

void add_room_routes(http::Router& router, const Api& api) {
  constexpr auto kToken = Authentication::kAccessToken;
  const auto post = [&](std::string_view path, RateClass rate, Action action) {
    add_route(router, api, {Method::kPost, path, kToken, rate, kLargeBody}, std::move(action));
  };
  const auto put = [&](std::string_view path, RateClass rate, Action action) {
    add_route(router, api, {Method::kPut, path, kToken, rate, kLargeBody}, std::move(action));
  };
  using stores::Membership;
  post("/_matrix/client/v3/createRoom", RateClass::kJoin, create);
  post("/_matrix/client/v3/join/{roomIdOrAlias}", RateClass::kJoin, join);
  post("/_matrix/client/v3/rooms/{roomId}/join", RateClass::kJoin, join);
  post("/_matrix/client/v3/rooms/{roomId}/leave", RateClass::kCheap, leave);
  post("/_matrix/client/v3/rooms/{roomId}/forget", RateClass::kCheap, forget);
  post("/_matrix/client/v3/rooms/{roomId}/invite", RateClass::kMessage,
       change_of_other("invite", std::nullopt));
  post("/_matrix/client/v3/rooms/{roomId}/kick", RateClass::kMessage,
       change_of_other("leave", Membership::kJoin));
  post("/_matrix/client/v3/rooms/{roomId}/ban", RateClass::kMessage,
       change_of_other("ban", std::nullopt));
  post("/_matrix/client/v3/rooms/{roomId}/unban", RateClass::kMessage,
       change_of_other("leave", Membership::kBan));
  put("/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}", RateClass::kMessage,
      send_message);
  put("/_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}", RateClass::kMessage, redact);
  put("/_matrix/client/v3/rooms/{roomId}/state/{eventType}", RateClass::kMessage, put_state);
  put("/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}", RateClass::kMessage,
      put_state);
  add_route(router, api,
            {Method::kGet, "/_matrix/client/v3/directory/room/{roomAlias}", Authentication::kNone},
            get_alias);
  put("/_matrix/client/v3/directory/room/{roomAlias}", RateClass::kCheap, put_alias);
  add_route(router, api, {Method::kDelete, "/_matrix/client/v3/directory/room/{roomAlias}"},
            delete_alias);
}

}  // namespace polder::client_api
