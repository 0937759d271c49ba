// Changing rooms: creation, events, state, redaction.
#include <algorithm>

#include "federation/entry/entry.h"
#include "homeserver/api/client/addresses.h"
#include "homeserver/api/client/api.h"
#include "homeserver/api/client/create_room.h"
#include "homeserver/api/client/exclusive.h"
#include "homeserver/api/client/membership.h"
#include "homeserver/api/client/profiles.h"
#include "homeserver/rooms/read/reader.h"
#include "homeserver/rooms/write/writer.h"
#include "storage/stores/rooms/directory_rows.h"

namespace polder::client_api {
namespace {

using http::Method;
using http::RateClass;
using http::Response;

constexpr size_t kTransactionIdBytesMax = 255;

// Sends an event once for a transaction id: a client that asks again, also meanwhile or after a
// crash, gets the same event. What the path says besides the room: its verb, and of what.
// https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers
Task<Result<Response>> send_once(const Api& api, Call& call, RoomId room, rooms::LocalEvent event,
                                 std::string verb, std::string what) {
  const std::string id(call.path("txnId"));
  if (id.empty() || id.size() > kTransactionIdBytesMax)
    co_return fail(ErrorCode::kInvalid, "The transaction id is too long");
  const users::Session& session = call.session();
  event.actor = actor_of(session);
  // The length, because both may have any characters.
  std::string path = verb.append("|" + std::to_string(what.size()) + "|").append(what);
  path.append("|").append(room.view());
  event.transaction = {session.number, session.device, std::move(path), id};
  POLDER_CO_TRY(const rooms::SentEvent sent,
                co_await api.writer.send(std::move(room), std::move(event)));
  co_return ok_json({{"event_id", sent.id.str()}});
}

Task<Result<Response>> send_message(const Api& api, Call& call) {
  POLDER_CO_TRY(const RoomId room, room_of(call));
  if (!json::is_canonical(call.body))
    co_return fail(ErrorCode::kInvalid, "M_BAD_JSON", "Numbers must be integers");
  rooms::LocalEvent event;
  event.sender = call.session().user;
  event.type = call.path("eventType");
  event.content = std::move(call.body);
  if (event.type == "m.room.redaction") {
    POLDER_CO_TRY(const auto target, json::Reader(event.content).optional_string("redacts"));
    if (target) {
      POLDER_CO_TRY(event.redacts, EventId::parse(*target));
    }
  }
  const std::string type = event.type;
  co_return co_await send_once(api, call, room, std::move(event), "send", type);
}

Task<Result<Response>> redact(const Api& api, Call& call) {
  POLDER_CO_TRY(const RoomId room, room_of(call));
  rooms::LocalEvent event;
  event.sender = call.session().user;
  event.type = "m.room.redaction";
  POLDER_CO_TRY(event.redacts, EventId::parse(call.path("eventId")));
  POLDER_CO_TRY(const auto reason, call.fields().optional_string("reason"));
  if (reason) event.content.set("reason", *reason);
  const std::string target = event.redacts->str();
  co_return co_await send_once(api, call, room, std::move(event), "redact", target);
}

// What the room's canonical alias event names; of others' events, whatever the form.
Task<Result<std::vector<json::Value>>> known_aliases(const Api& api, RoomId room) {
  using Known = std::vector<json::Value>;
  co_return co_await runtime::on_pool(api.runtime, [&api, room]() -> Result<Known> {
    Known known;
    POLDER_TRY(const auto head, api.rooms.head(room));
    if (!head) return known;
    const rooms::RoomReader reader(api.rooms, head);
    POLDER_TRY(const auto event,
               reader.state_event(head->record.state, "m.room.canonical_alias", ""));
    if (!event) return known;
    if (const json::Array* others = event->content().find_array("alt_aliases")) known = *others;
    if (const json::Value* alias = event->content().find("alias")) known.push_back(*alias);
    return known;
  });
}

// https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidstateeventtypestatekey:
// the aliases of a canonical alias event have the right form (M_INVALID_PARAM) and lead to the room
// (M_BAD_ALIAS). Those that the room names already are left alone.
Task<Status> check_aliases(const Api& api, RoomId room, json::Object content) {
  POLDER_CO_TRY(const auto named, aliases_named_in(content));
  POLDER_CO_TRY(const auto known, co_await known_aliases(api, room));
  for (const std::string& alias : named) {
    if (std::ranges::find(known, json::Value(alias)) != known.end()) continue;
    const auto found = co_await resolve(api, alias);
    if (!found.ok() || found->room != room)
      co_return fail(ErrorCode::kInvalid, "M_BAD_ALIAS",
                     "The alias " + alias + " does not lead to this room");
  }
  co_return Status();
}

// The event that set the state to just this, if the same user, who is in the room, did so before:
// setting it again changes nothing, as with Synapse.
Task<Result<std::optional<EventId>>> same_state(const Api& api, RoomId room,
                                                rooms::LocalEvent wanted) {
  co_return co_await runtime::on_pool(
      api.runtime, [&api, room, wanted]() -> Result<std::optional<EventId>> {
        POLDER_TRY(const auto head, api.rooms.head(room));
        if (!head) return std::optional<EventId>();
        const rooms::RoomReader reader(api.rooms, head);
        POLDER_TRY(const auto of, reader.reader(wanted.sender));
        POLDER_TRY(const auto event,
                   reader.state_event(head->record.state, wanted.type, *wanted.state_key));
        const bool same = of.membership.membership == stores::Membership::kJoin && event &&
                          event->sender() == wanted.sender && event->content() == wanted.content;
        return same ? std::optional(event->id()) : std::optional<EventId>();
      });
}

Task<Result<Response>> put_state(const Api& api, Call& call) {
  POLDER_CO_TRY(const RoomId room, room_of(call));
  if (!json::is_canonical(call.body))
    co_return fail(ErrorCode::kInvalid, "M_BAD_JSON", "Numbers must be integers");
  if (call.path("eventType") == "m.room.canonical_alias")
    POLDER_CO_CHECK(co_await check_aliases(api, room, call.body));
  rooms::LocalEvent event;
  event.sender = call.session().user;
  event.type = call.path("eventType");
  event.state_key = std::string(call.path("stateKey"));
  event.content = std::move(call.body);
  event.actor = actor_of(call.session());
  POLDER_CO_TRY(const auto same, co_await same_state(api, room, event));
  if (same) co_return ok_json({{"event_id", same->str()}});
  const auto member = UserId::parse(*event.state_key);
  if (event.type == "m.room.member" && member.ok()) {
    call.body = std::move(event.content);
    POLDER_CO_TRY(const EventId id, co_await send_membership(api, call, room, *member));
    co_return ok_json({{"event_id", id.str()}});
  }
  POLDER_CO_TRY(const rooms::SentEvent sent, co_await api.writer.send(room, std::move(event)));
  co_return ok_json({{"event_id", sent.id.str()}});
}

Task<Result<RoomId>> create_planned(const Api& api, UserId creator, policy::Actor actor,
                                    RoomPlan plan) {
  for (rooms::LocalEvent& event : plan.events)
    event.actor = actor;
  if (plan.alias) {
    const auto taken = co_await runtime::on_pool(api.runtime, [&api, alias = *plan.alias] {
      return stores::read_alias(*api.database.snapshot(), alias);
    });
    if (!taken.ok()) co_return taken.error();
    if (*taken) co_return fail(ErrorCode::kInvalid, "M_ROOM_IN_USE", "The alias is taken");
    plan.events.back().with = [alias = *plan.alias, creator](kv::Batch& batch,
                                                             const events::Event& event) {
      stores::put_alias(batch, alias, {event.room_id(), creator});
    };
  }
  const auto created = co_await api.writer.create(*plan.rules, std::move(plan.events));
  // "The initial state implied by the parameters to the request is invalid."
  if (!created.ok() && (created.error().code == ErrorCode::kForbidden ||
                        created.error().code == ErrorCode::kInvalid))
    co_return fail(ErrorCode::kInvalid, "M_INVALID_ROOM_STATE", created.error().message);
  if (!created.ok()) co_return created.error();
  const RoomId& room = *created;
  // The room stands, whether or not others' servers can be reached: who is missing is invited anew.
  for (const UserId& user : plan.remote_invites) {
    const Status invited =
        co_await api.entry.invite({creator, room, plan.invite_content, {}, actor}, user);
    if (!invited.ok())
      api.runtime.log().info("invite_failed",
                             {{"room", room}, {"reason", invited.error().message}});
  }
  co_return room;
}

Task<Result<Response>> create(const Api& api, Call& call) {
  const UserId creator = call.session().user;
  if (!json::is_canonical(call.body))
    co_return fail(ErrorCode::kInvalid, "M_BAD_JSON", "Numbers must be integers");
  auto profile = co_await membership_content(api, creator, "join", {});
  if (!profile.ok()) co_return profile.error();
  POLDER_CO_TRY(RoomPlan plan,
                plan_room(call.body, creator, *profile, api.accounts.parts().own_name,
                          api.settings->default_room_version));
  const policy::Actor actor = actor_of(call.session());
  const auto alias = plan.alias;
  if (alias) {
    POLDER_CO_CHECK(check_alias_not_claimed(api, *alias));
    POLDER_CO_CHECK(co_await api.writer.permit_act(
        {.point = policy::Point::kAlias, .target = alias->str()}, actor, creator));
  }
  auto make = [&api, creator, actor, plan = std::move(plan)] {
    return create_planned(api, creator, actor, plan);
  };
  const auto room =
      co_await (alias ? api.alias_turns.in_turn(std::hash<RoomAlias>()(*alias), make) : make());
  if (!room.ok()) co_return room.error();
  POLDER_CO_CHECK(co_await renew_profile(api, call.session(), *room, *profile));
  co_return ok_json({{"room_id", room->str()}});
}

constexpr kit::Terms kEvent{.rate = RateClass::kMessage, .body_max = kLargeBody};
constexpr kit::Terms kState{
    .rate = RateClass::kMessage, .body_max = kLargeBody, .changes_own_place = true};
constexpr Operation kRoomOperations[] = {
    {"createRoom",
     Method::kPost,
     "/_matrix/client/v3/createRoom",
     create,
     {.rate = RateClass::kJoin, .body_max = kLargeBody, .changes_own_place = true}},
    {"sendMessage", Method::kPut, "/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}",
     send_message, kEvent},
    {"redactEvent", Method::kPut, "/_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}",
     redact, kEvent},
    {"setRoomStateWithKey", Method::kPut, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}",
     put_state, kState},
    {"setRoomStateWithKey", Method::kPut, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/",
     put_state, kState},
    {"setRoomStateWithKey", Method::kPut,
     "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}", put_state, kState},
};

}  // namespace

void add_room_routes(http::Router& router, const Api& api) {
  add_operations(router, api, kRoomOperations);
}

}  // namespace polder::client_api
