// Aliases of rooms.
// https://spec.matrix.org/v1.19/client-server-api/#room-aliases
#include <algorithm>

#include "homeserver/api/client/addresses.h"
#include "homeserver/api/client/exclusive.h"
#include "homeserver/api/client/membership.h"
#include "homeserver/api/client/room_reading.h"
#include "homeserver/rooms/model/refusals.h"
#include "homeserver/rooms/write/writer.h"
#include "storage/stores/rooms/directory_rows.h"

namespace polder::client_api {
namespace {

using http::Method;
using http::Response;

Task<Result<Response>> get_alias(const Api& api, Call& call) {
  POLDER_CO_TRY(const auto found, co_await resolve(api, std::string(call.path("roomAlias"))));
  json::Array servers;
  for (const ServerName& server : found.servers)
    servers.emplace_back(server.str());
  co_return ok_json({{"room_id", found.room.str()}, {"servers", std::move(servers)}});
}

Task<Result<std::optional<stores::AliasRow>>> find_alias(const Api& api, RoomAlias alias) {
  return runtime::on_pool(
      api.runtime, [&api, alias] { return stores::read_alias(*api.database.snapshot(), alias); });
}

// The rules of the server, before those of the room.
Task<Status> permit(const Api& api, const Call& call, RoomAlias alias) {
  const users::Session& session = call.session();
  policy::Act act{.point = policy::Point::kAlias, .target = alias.str()};
  co_return co_await api.writer.permit_act(std::move(act), actor_of(session), session.user);
}

Task<Result<Response>> put_in_turn(const Api& api, RoomAlias alias, stores::AliasRow row) {
  POLDER_CO_TRY(const auto taken, co_await find_alias(api, alias));
  if (taken) co_return fail(ErrorCode::kExists, "M_UNKNOWN", "The alias is taken");
  kv::Batch batch;
  stores::put_alias(batch, alias, row);
  POLDER_CO_CHECK(co_await api.committer.commit(std::move(batch)));
  co_return empty_json();
}

Task<Result<Response>> put_alias(const Api& api, Call& call) {
  POLDER_CO_TRY(const RoomAlias alias, RoomAlias::parse(call.path("roomAlias")));
  if (alias.server() != api.accounts.parts().own_name.view())
    co_return fail(ErrorCode::kInvalid, "The alias is of another server");
  POLDER_CO_CHECK(check_alias_not_claimed(api, alias));
  POLDER_CO_TRY(const std::string named, call.fields().string("room_id"));
  POLDER_CO_TRY(const RoomId room, RoomId::parse(named));
  POLDER_CO_CHECK(co_await permit(api, call, alias));
  const UserId user = call.session().user;
  POLDER_CO_TRY(const auto membership, co_await current_membership(api, room, user, user));
  if (membership != stores::Membership::kJoin) co_return rooms::not_in_room();
  auto put = [&api, alias, row = stores::AliasRow{room, user}] {
    return put_in_turn(api, alias, row);
  };
  co_return co_await api.alias_turns.in_turn(std::hash<RoomAlias>()(alias), std::move(put));
}

// Whoever made the alias may remove it, as may who administers the server and who could take it
// from the room's canonical aliases.
Task<Result<bool>> may_delete(const Api& api, users::Session session, stores::AliasRow row) {
  if (row.creator == session.user || session.admin) co_return true;
  co_return co_await runtime::on_pool(api.runtime, [&api, session, row]() -> Result<bool> {
    POLDER_TRY(const auto head, api.rooms.head(row.room));
    if (!head) return false;
    const rooms::RoomReader reader(api.rooms, head);
    return reader.may_send_state(session.user, "m.room.canonical_alias");
  });
}

// What the canonical alias event should say once the alias is gone; nothing if it does not name it.
Result<std::optional<json::Object>> without_alias(const Api& api, const RoomId& room,
                                                  const RoomAlias& alias) {
  std::optional<json::Object> content;
  POLDER_TRY(const auto head, api.rooms.head(room));
  if (!head) return content;
  const rooms::RoomReader reader(api.rooms, head);
  POLDER_TRY(const auto event,
             reader.state_event(head->record.state, "m.room.canonical_alias", ""));
  if (!event) return content;
  content = event->content();
  const json::Value named(alias.str());
  const json::Value* main_alias = content->find("alias");
  bool changed = main_alias != nullptr && *main_alias == named;
  if (changed) content->erase("alias");
  if (json::Value* others = content->find("alt_aliases");
      others != nullptr && others->as_array() != nullptr) {
    changed = std::erase(*others->as_array(), named) > 0 || changed;
    if (others->as_array()->empty()) content->erase("alt_aliases");
  }
  if (!changed) content.reset();
  return content;
}

// "Servers which choose to update the canonical alias event are recommended to [...] delete the
// alias and return a successful response even if the user does not have permission to update" it.
Task<Status> update_canonical_alias(const Api& api, UserId user, RoomId room, RoomAlias alias) {
  POLDER_CO_TRY(auto content, co_await runtime::on_pool(api.runtime, [&api, room, alias] {
                  return without_alias(api, room, alias);
                }));
  if (!content) co_return Status();
  rooms::LocalEvent event;
  event.sender = std::move(user);
  event.type = "m.room.canonical_alias";
  event.state_key = "";
  event.content = *std::move(content);
  const auto sent = co_await api.writer.send(room, std::move(event));
  if (!sent.ok())
    api.runtime.log().info("canonical_alias_left",
                           {{"room", room}, {"reason", sent.error().message}});
  co_return Status();
}

// The room that it was an alias of.
Task<Result<RoomId>> delete_in_turn(const Api& api, users::Session session, RoomAlias alias) {
  POLDER_CO_TRY(const auto row, co_await find_alias(api, alias));
  if (!row) co_return fail(ErrorCode::kNotFound, "Room alias not found");
  POLDER_CO_TRY(const bool allowed, co_await may_delete(api, session, *row));
  if (!allowed) co_return fail(ErrorCode::kForbidden, "The alias is not yours");
  kv::Batch batch;
  stores::erase_alias(batch, alias, row->room);
  POLDER_CO_CHECK(co_await api.committer.commit(std::move(batch)));
  co_return row->room;
}

Task<Result<Response>> delete_alias(const Api& api, Call& call) {
  POLDER_CO_TRY(const RoomAlias alias, RoomAlias::parse(call.path("roomAlias")));
  if (!call.session().admin) POLDER_CO_CHECK(check_alias_not_claimed(api, alias));
  POLDER_CO_CHECK(co_await permit(api, call, alias));
  auto erase = [&api, session = call.session(), alias] {
    return delete_in_turn(api, session, alias);
  };
  POLDER_CO_TRY(const RoomId room,
                co_await api.alias_turns.in_turn(std::hash<RoomAlias>()(alias), std::move(erase)));
  POLDER_CO_CHECK(co_await update_canonical_alias(api, call.session().user, room, alias));
  co_return empty_json();
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidaliases
Result<Response> aliases_of(const Api&, const rooms::RoomReader& reader, const rooms::ReaderOf& of,
                            const Call& call) {
  POLDER_TRY(const auto visibility, reader.visibility_at(reader.head().record.state));
  const bool inside = of.membership.membership == stores::Membership::kJoin;
  if (!inside && visibility != "world_readable" && !call.session().admin)
    return rooms::not_in_room();
  POLDER_TRY(const auto found, stores::read_aliases_of(reader.snapshot(), reader.head().record.id));
  json::Array aliases;
  for (const RoomAlias& alias : found)
    aliases.emplace_back(alias.str());
  return ok_json({{"aliases", std::move(aliases)}});
}

constexpr std::string_view kAlias = "/_matrix/client/v3/directory/room/{roomAlias}";
constexpr Operation kAliasOperations[] = {
    {"getRoomIdByAlias",
     Method::kGet,
     kAlias,
     get_alias,
     {.authentication = http::Authentication::kNone}},
    {"setRoomAlias", Method::kPut, kAlias, put_alias, {.body_max = kSmallBody}},
    {"deleteRoomAlias", Method::kDelete, kAlias, delete_alias},
    {"getLocalAliases", Method::kGet, "/_matrix/client/v3/rooms/{roomId}/aliases",
     reading<aliases_of>},
};

}  // namespace

void add_alias_routes(http::Router& router, const Api& api) {
  add_operations(router, api, kAliasOperations);
}

}  // namespace polder::client_api
