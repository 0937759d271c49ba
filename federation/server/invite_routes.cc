// Invites of users of this server into rooms of others.
// https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room
#include "federation/server/open_room.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/signing.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::federation_server {
namespace {

using http::Method;
using http::Response;

constexpr size_t kRoomStateMax = 50;  // entries of invite_room_state

struct Invite {
  const events::RoomVersionRules* rules = nullptr;
  events::EventPtr event;
  json::Array room_state;
};

Error bad_invite(std::string_view why) {
  return fail(ErrorCode::kInvalid, std::string(why));
}

// "Servers MUST apply certain validation to ensure they don't accidentally sign non-invite events
// from a malicious server."
Status check_shape(const Api& api, const Call& call, const events::Event& event) {
  POLDER_TRY(const RoomId room, RoomId::parse(call.path("roomId")));
  POLDER_TRY(const EventId id, EventId::parse(call.path("eventId")));
  if (event.room_id() != room) return bad_invite("The event is of another room than the path");
  if (event.id() != id) return bad_invite("The event has another id than the path");
  if (!event.is("m.room.member")) return bad_invite("The event is no m.room.member");
  if (event.membership() != "invite") return bad_invite("The event is no invite");
  if (event.sender().server() != call.origin().view())
    return bad_invite("The sender is not of your server");
  const auto user = UserId::parse(event.state_key().value_or(""));
  if (!user.ok() || user->server() != api.own_name().view())
    return bad_invite("The state_key is no user of this server");
  if (!events::content_hash_matches(event.object())) return bad_invite("The content hash is wrong");
  return {};
}

// Whether this server is in the room, which then has its say.
Result<bool> check_room(Api& api, const ServerName& origin, const events::Event& event) {
  POLDER_TRY(const auto head, api.rooms().head(event.room_id()));
  if (!head || !head->record.local_joined) return false;
  const events::RoomVersionRules& rules = *head->rules;
  const bool same =
      &rules == &event.rules() || (rules.event_ids == events::EventIdFormat::kServerGiven &&
                                   event.rules().event_ids == events::EventIdFormat::kServerGiven);
  if (!same) return bad_invite("The room is of another version");
  POLDER_TRY(const auto room, open_own_room(api, event.room_id(), origin));
  POLDER_CHECK(room->federation.allows(event));
  return true;
}

// "One or more entries in invite_room_state are not formatted according to the room's version";
// "the m.room.create event is missing"; "one or more events does not reside in the same room as the
// invite"; "one or more events fails a signature check". Older versions are spared while servers
// migrate: what has not the form of stripped state is not shown. Gives what may be shown: if a
// server's keys cannot be had, that is the create event, which the room's id proves, and not
// others.
Task<Result<json::Array>> check_room_state(Api& api, events::EventPtr invite, json::Array given) {
  if (!invite->rules().room_id_is_create_hash) co_return given;
  bool created = false;
  json::Array shown;
  for (json::Value& entry : given) {
    if (entry.as_object() == nullptr)
      co_return bad_invite("invite_room_state has what is no event");
    const auto event = events::Event::parse(*entry.as_object(), invite->rules());
    if (!event.ok()) co_return bad_invite("invite_room_state: " + event.error().message);
    if ((*event)->room_id() != invite->room_id())
      co_return bad_invite("invite_room_state has an event of another room");
    if (!(*event)->is_state())
      co_return bad_invite("invite_room_state has an event that is no state");
    if (!events::content_hash_matches((*event)->object()))
      co_return bad_invite("invite_room_state has an event with a wrong hash");
    const bool create = (*event)->is_state("m.room.create", "");
    const auto verified = co_await api.writer().verify(*event);
    if (!verified.ok() && verified.error().code == ErrorCode::kBadSignature)
      co_return bad_invite("invite_room_state: " + verified.error().message);
    created = created || create;
    if (verified.ok() || create) shown.push_back(std::move(entry));
  }
  if (!created) co_return bad_invite("invite_room_state has no m.room.create event");
  co_return shown;
}

Result<Invite> read_invite(const events::RoomVersionRules& rules, json::Object event,
                           const json::Object& around) {
  Invite invite;
  invite.rules = &rules;
  POLDER_TRY(const json::Array* room_state,
             json::Reader(around).optional_array("invite_room_state", {kRoomStateMax}));
  if (room_state != nullptr) invite.room_state = *room_state;
  POLDER_TRY(invite.event, events::Event::parse(std::move(event), rules));
  return invite;
}

// The event with this server's signature, once everything was checked and the user's membership is
// on disk.
Task<Result<json::Object>> accept(Api& api, Call& call, Invite invite) {
  POLDER_CO_CHECK(check_shape(api, call, *invite.event));
  const UserId user = UserId::trusted(*invite.event->state_key());
  const auto account = co_await api.parts.accounts.account(user);
  if (!account.ok()) co_return account.error();
  if (account->deactivated) co_return fail(ErrorCode::kNotFound, "no such user");
  POLDER_CO_CHECK(co_await api.writer().verify(invite.event));
  // Which is not asked of invites that follow from a third party's, in general.
  POLDER_CO_CHECK(co_await api.writer().verify_signature(invite.event, call.origin()));
  POLDER_CO_TRY(json::Array room_state,
                co_await check_room_state(api, invite.event, std::move(invite.room_state)));
  const ServerName origin = call.origin();
  const events::EventPtr event = invite.event;
  POLDER_CO_TRY(const bool inside, co_await runtime::on_pool(api.runtime(), [&api, origin, event] {
                  return check_room(api, origin, *event);
                }));
  json::Object pdu = event->object();
  events::sign_event(pdu, *invite.rules, api.own_name(), api.writer().signing_key());
  // To a room that this server is in, the event comes as all others do.
  if (inside) co_return pdu;
  POLDER_CO_TRY(const auto signed_event, events::Event::parse(pdu, *invite.rules));
  const auto stored = co_await api.writer().store_outside_membership(*invite.rules, signed_event,
                                                                     std::move(room_state));
  // kExists: this server has entered the room meanwhile.
  if (!stored.ok() && stored.error().code != ErrorCode::kExists) co_return stored.error();
  co_return pdu;
}

// https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2inviteroomideventid
Task<Result<Response>> invite_v2(Api& api, Call& call) {
  POLDER_CO_TRY(const std::string version, call.fields().string("room_version"));
  POLDER_CO_TRY(const json::Object* event, call.fields().object("event", {.max = 65'536}));
  const events::RoomVersionRules* rules = events::find_room_version(version);
  if (rules == nullptr) co_return incompatible_version(version);
  POLDER_CO_TRY(Invite invite, read_invite(*rules, *event, call.body));
  POLDER_CO_TRY(json::Object pdu, co_await accept(api, call, std::move(invite)));
  co_return ok_json({{"event", std::move(pdu)}});
}

// https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1inviteroomideventid
Task<Result<Response>> invite_v1(Api& api, Call& call) {
  // "Servers which receive a v1 invite request must assume that the room version is either 1 or 2",
  // which differ in nothing that an invite shows.
  const events::RoomVersionRules& rules = *events::find_room_version("1");
  POLDER_CO_TRY(const json::Object* extra, call.fields().optional_object("unsigned"));
  POLDER_CO_TRY(Invite invite,
                read_invite(rules, call.body, extra != nullptr ? *extra : json::Object()));
  POLDER_CO_TRY(json::Object pdu, co_await accept(api, call, std::move(invite)));
  json::Array answer = {200, json::object({{"event", std::move(pdu)}})};
  co_return Response::json(200, json::write(json::Value(std::move(answer))));
}

constexpr Operation kInviteOperations[] = {
    {"sendInviteV1", Method::kPut, "/_matrix/federation/v1/invite/{roomId}/{eventId}", invite_v1,
     signed_by_server(kInviteBody)},
    {"sendInviteV2", Method::kPut, "/_matrix/federation/v2/invite/{roomId}/{eventId}", invite_v2,
     signed_by_server(kInviteBody)},
};

}  // namespace

void add_invite_routes(http::Router& router, Api& api) {
  add_operations(router, api, kInviteOperations);
}

}  // namespace polder::federation_server
