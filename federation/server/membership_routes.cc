// Users of other servers enter, leave and knock upon rooms of this one.
// https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
// https://spec.matrix.org/v1.19/server-server-api/#leaving-rooms-rejecting-invites
// https://spec.matrix.org/v1.19/server-server-api/#knocking-rooms
#include <algorithm>
#include <iterator>

#include "federation/server/open_room.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/signing.h"
#include "homeserver/rooms/read/restricted.h"
#include "homeserver/rooms/write/writer.h"
#include "storage/stores/federation/federation_rows.h"

namespace polder::federation_server {
namespace {

using http::Method;
using http::Response;
using rooms::RestrictedJoin;
using stores::EventNumber;

constexpr std::string_view kAuthoriser = "join_authorised_via_users_server";

// Who may not enter a restricted room, and why not
// (https://spec.matrix.org/v1.19/server-server-api/#restricted-rooms).
Status check_restricted(RestrictedJoin join) {
  switch (join) {
    case RestrictedJoin::kNotNeeded:
    case RestrictedJoin::kGranted:
      return {};
    case RestrictedJoin::kNoAuthoriser:
      return fail(ErrorCode::kInvalid, "M_UNABLE_TO_GRANT_JOIN",
                  "This server cannot send invites to you");
    case RestrictedJoin::kUnknown:
      return fail(ErrorCode::kInvalid, "M_UNABLE_TO_AUTHORISE_JOIN",
                  "This server cannot tell whether you may join");
    case RestrictedJoin::kRefused:
      return fail(ErrorCode::kForbidden, "You are not in a room whose members may join");
  }
  return {};
}

// --- make_join, make_leave, make_knock ---

struct TemplateRequest {
  RoomId room;
  UserId user;
  ServerName origin;
  std::string membership;
  std::vector<std::string> versions;  // that the other server knows; empty: any
};

// What is known of a membership before it is made.
struct Prepared {
  json::Object content;
  std::string room_version;
};

// Whether the rules would allow the event now. It is made only for the question.
Status check_allowed(const OpenRoom& room, const TemplateRequest& request,
                     const json::Object& content) {
  events::EventDraft draft;
  draft.room_id = request.room;
  draft.sender = request.user;
  draft.type = "m.room.member";
  draft.state_key = request.user.str();
  draft.content = content;
  const events::RoomVersionRules& rules = *room.head().rules;
  json::Object pdu = events::make_pdu(draft, rules, "question");
  pdu.set("hashes", json::Object());
  pdu.set("signatures", json::Object());
  POLDER_TRY(const auto event, events::Event::parse(std::move(pdu), rules));
  return room.federation.allows(*event);
}

// Who enters gets the room's state from here, which must be the whole.
Status check_whole(const OpenRoom& room, std::string_view membership) {
  if (membership == "leave" || !room.head().record.partial) return {};
  return fail(ErrorCode::kUnavailable, "The state of the room is not known in full here yet");
}

Result<Prepared> prepare(Api& api, const TemplateRequest& request) {
  POLDER_TRY(const auto room, open_own_room(api, request.room, request.origin));
  POLDER_CHECK(check_whole(*room, request.membership));
  Prepared prepared;
  prepared.room_version = room->head().record.version;
  if (!request.versions.empty() &&
      std::ranges::find(request.versions, prepared.room_version) == request.versions.end()) {
    return incompatible_version(prepared.room_version);
  }
  prepared.content.set("membership", request.membership);
  if (request.membership == "join") {
    POLDER_TRY(const auto restricted,
               rooms::restricted_join(api.rooms(), room->reader, request.user));
    POLDER_CHECK(check_restricted(restricted.join));
    if (restricted.authoriser)
      prepared.content.set(std::string(kAuthoriser), restricted.authoriser->str());
  }
  POLDER_CHECK(check_allowed(*room, request, prepared.content));
  return prepared;
}

Task<Result<Response>> make(Api& api, Call& call, std::string membership,
                            std::vector<std::string> versions) {
  TemplateRequest request;
  POLDER_CO_TRY(request.room, RoomId::parse(call.path("roomId")));
  POLDER_CO_TRY(request.user, UserId::parse(call.path("userId")));
  request.origin = call.origin();
  request.membership = std::move(membership);
  request.versions = std::move(versions);
  // "This MUST be a user ID on the origin server."
  if (request.user.server() != request.origin.view())
    co_return fail(ErrorCode::kForbidden, "The user is not one of your server");
  POLDER_CO_TRY(Prepared prepared, co_await runtime::on_pool(api.runtime(), [&api, request] {
                  return prepare(api, request);
                }));
  rooms::LocalEvent event;
  event.sender = request.user;
  event.type = "m.room.member";
  event.state_key = request.user.str();
  event.content = std::move(prepared.content);
  POLDER_CO_TRY(json::Object pdu,
                co_await api.writer().make_template(request.room, std::move(event)));
  co_return ok_json({{"event", std::move(pdu)}, {"room_version", prepared.room_version}});
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_joinroomiduserid
Task<Result<Response>> make_join(Api& api, Call& call) {
  auto versions = call.request().query_parameters("ver");
  if (versions.empty()) versions.emplace_back("1");  // "Defaults to [1]."
  return make(api, call, "join", std::move(versions));
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_leaveroomiduserid
Task<Result<Response>> make_leave(Api& api, Call& call) {
  return make(api, call, "leave", {});
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_knockroomiduserid
Task<Result<Response>> make_knock(Api& api, Call& call) {
  auto versions = call.request().query_parameters("ver");
  if (versions.empty()) co_return fail(ErrorCode::kMissing, "ver is missing");
  co_return co_await make(api, call, "knock", std::move(versions));
}

// --- send_join, send_leave, send_knock ---

// An event that came in, as far as it was looked at.
struct Candidate {
  events::EventPtr event;
  bool known = false;      // it is stored already
  bool vouch_for = false;  // this server's signature is asked for, and may be given
};

// Whether the event is what the endpoint and the path say
// (https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid,
// and likewise for leaves and knocks).
Status check_shape(const events::Event& event, const RoomId& room, const EventId& id,
                   const ServerName& origin, std::string_view membership) {
  const auto bad = [](std::string_view why) { return fail(ErrorCode::kInvalid, std::string(why)); };
  if (event.room_id() != room) return bad("The event is of another room than the path");
  if (event.id() != id) return bad("The event has another id than the path");
  if (!event.is("m.room.member")) return bad("The event is no m.room.member");
  if (event.membership() != membership) return bad("The event has another membership");
  if (event.sender().server() != origin.view()) return bad("The sender is not of your server");
  if (event.state_key() != event.sender().view()) return bad("The state_key is not the sender");
  if (!events::content_hash_matches(event.object())) return bad("The content hash is wrong");
  return {};
}

// Whether this server vouches for the join, as the event says that it does: only if a condition of
// the room is met, and the user whom the event names may invite.
Status check_authoriser(Api& api, const OpenRoom& room, Candidate& candidate) {
  const events::Event& event = *candidate.event;
  const std::string* name = event.content().find_string(kAuthoriser);
  if (!event.rules().restricted_joins || name == nullptr) return {};
  POLDER_TRY(const UserId authoriser, UserId::parse(*name));
  // Another server's signature is required, and verified with the rest.
  if (authoriser.server() != api.own_name().view()) return {};
  POLDER_TRY(const auto restricted,
             rooms::restricted_join(api.rooms(), room.reader, event.sender()));
  POLDER_CHECK(check_restricted(restricted.join));
  if (restricted.join == RestrictedJoin::kNotNeeded)
    return fail(ErrorCode::kInvalid, "The join needs no authorisation by a user of this server");
  // Among the rules: the user who is named is in the room and may invite.
  POLDER_CHECK(room.federation.allows(event));
  candidate.vouch_for = true;
  return {};
}

Result<Candidate> look_at(Api& api, const Call& call, std::string_view membership) {
  POLDER_TRY(const RoomId id, RoomId::parse(call.path("roomId")));
  POLDER_TRY(const EventId event_id, EventId::parse(call.path("eventId")));
  POLDER_TRY(const auto room, open_own_room(api, id, call.origin()));
  POLDER_CHECK(check_whole(*room, membership));
  Candidate candidate;
  POLDER_TRY(candidate.event, events::Event::parse(call.body, *room->head().rules));
  POLDER_CHECK(check_shape(*candidate.event, id, event_id, call.origin(), membership));
  const Status links = room->federation.check_links(*candidate.event);
  if (!links.ok()) {
    return links.error().code == ErrorCode::kMissing
               ? fail(ErrorCode::kInvalid, links.error().message)
               : links.error();
  }
  POLDER_TRY(const auto number, room->reader.view().find(event_id));
  if (number) {
    POLDER_TRY(const auto record, room->reader.view().record(*number));
    candidate.known = !record.standing.outlier;
  }
  if (!candidate.known) POLDER_CHECK(check_authoriser(api, *room, candidate));
  return candidate;
}

// The event with this server's signature. It leaves the server only if the event is verified and
// becomes part of the room.
Result<events::EventPtr> vouch_for(const Api& api, const events::Event& event) {
  json::Object pdu = event.object();
  events::sign_event(pdu, event.rules(), api.own_name(), api.writer().signing_key());
  return events::Event::parse(std::move(pdu), event.rules());
}

// The event becomes part of the room, and goes to the room's other servers.
Task<Status> take_in(Api& api, ServerName origin, events::EventPtr event) {
  // Written before the event is: who passes it on must know that it is to. It goes with the event's
  // own batch or before it, as batches are written in order.
  kv::Batch forward;
  stores::put_forward(forward, event->id());
  api.parts.committer.enqueue(std::move(forward), kv::Durability::kDurable, [](const auto&) {});
  const auto received = co_await api.writer().receive(origin, event);
  if (received.ok() && received->verdict == rooms::Verdict::kAccepted) co_return Status();
  kv::Batch undo;
  stores::erase_forward(undo, event->id());
  api.parts.committer.enqueue(std::move(undo), kv::Durability::kLazy, [](const auto&) {});
  if (!received.ok()) co_return received.error();
  co_return fail(ErrorCode::kForbidden, received->refusal);
}

// All checks, in order; nothing is changed before the last has passed.
Task<Result<events::EventPtr>> accept(Api& api, Call& call, std::string membership) {
  POLDER_CO_TRY(Candidate candidate,
                co_await runtime::on_pool(api.runtime(), [&api, &call, membership] {
                  return look_at(api, call, membership);
                }));
  if (candidate.known) co_return candidate.event;
  if (candidate.vouch_for) {
    POLDER_CO_TRY(candidate.event, vouch_for(api, *candidate.event));
  }
  POLDER_CO_CHECK(co_await api.writer().verify(candidate.event));
  POLDER_CO_CHECK(co_await take_in(api, call.origin(), candidate.event));
  co_return candidate.event;
}

// The event as it is stored; kForbidden if it was refused, at this time or before.
Result<rooms::FederationReader::Found> stored(const OpenRoom& room, const EventId& id) {
  const Error refused = fail(ErrorCode::kForbidden, "The room does not allow it");
  auto found = room.federation.find(id);
  if (!found.ok()) return found.error().code == ErrorCode::kNotFound ? refused : found.error();
  if (found->second.record.standing.soft_failed) return refused;
  return found;
}

Status write_pdus(json::Writer& writer, const OpenRoom& room,
                  const std::vector<EventNumber>& events) {
  writer.begin_array();
  for (const EventNumber number : events) {
    POLDER_TRY(const std::string pdu, room.federation.pdu(number));
    writer.raw(pdu);
  }
  writer.end_array();
  return {};
}

// The room before the join, for the server that enters it.
Result<std::string> describe_room(Api& api, const ServerName& origin, const events::Event& event) {
  POLDER_TRY(const auto room, open_own_room(api, event.room_id(), origin));
  POLDER_TRY(const auto found, stored(*room, event.id()));
  POLDER_TRY(auto state, room->federation.state(found.second.record.state_before));
  std::vector<EventNumber> all = state;
  all.push_back(found.first);
  POLDER_TRY(const auto chain, room->federation.auth_chain(all));
  // "Events returned in state may be omitted from auth_chain."
  std::ranges::sort(state);
  std::vector<EventNumber> rest;
  std::ranges::set_difference(chain, state, std::back_inserter(rest));
  POLDER_TRY(const std::string pdu, room->federation.pdu(found.first));
  std::string text;
  json::Writer writer(text);
  writer.begin_object().key("auth_chain");
  POLDER_CHECK(write_pdus(writer, *room, rest));
  writer.key("event").raw(pdu);
  writer.member("members_omitted", false).member("origin", api.own_name().view());
  writer.key("state");
  POLDER_CHECK(write_pdus(writer, *room, state));
  writer.end_object();
  return text;
}

// What a knocking user is told of the room
// (https://spec.matrix.org/v1.19/client-server-api/#stripped-state).
Result<std::string> introduce_room(Api& api, const ServerName& origin, const events::Event& event) {
  POLDER_TRY(const auto room, open_own_room(api, event.room_id(), origin));
  POLDER_TRY(const auto found, stored(*room, event.id()));
  POLDER_TRY(const auto events, room->reader.stripped_events(found.second.record.state_before));
  std::vector<EventNumber> told;
  for (const events::EventPtr& described : events) {
    POLDER_TRY(const auto one, room->federation.find(described->id()));
    told.push_back(one.first);
  }
  std::string text;
  json::Writer writer(text);
  writer.begin_object().key("knock_room_state");
  POLDER_CHECK(write_pdus(writer, *room, told));
  writer.end_object();
  return text;
}

Result<std::string> say_nothing(Api& api, const ServerName& origin, const events::Event& event) {
  POLDER_TRY(const auto room, open_own_room(api, event.room_id(), origin));
  POLDER_CHECK(stored(*room, event.id()));
  return std::string("{}");
}

using Answer = Result<std::string> (*)(Api&, const ServerName&, const events::Event&);

Task<Result<std::string>> send(Api& api, Call& call, std::string membership, Answer answer) {
  POLDER_CO_TRY(const auto event, co_await accept(api, call, std::move(membership)));
  co_return co_await runtime::on_pool(
      api.runtime(), [&api, &call, event, answer] { return answer(api, call.origin(), *event); });
}

// Version 1 of an endpoint wraps the answer into a list.
Task<Result<Response>> send_join_v1(Api& api, Call& call) {
  POLDER_CO_TRY(const std::string text, co_await send(api, call, "join", describe_room));
  co_return Response::json(200, "[200," + text + "]");
}

Task<Result<Response>> send_join(Api& api, Call& call) {
  POLDER_CO_TRY(std::string text, co_await send(api, call, "join", describe_room));
  co_return Response::json(200, std::move(text));
}

Task<Result<Response>> send_leave_v1(Api& api, Call& call) {
  POLDER_CO_TRY(const std::string text, co_await send(api, call, "leave", say_nothing));
  co_return Response::json(200, "[200," + text + "]");
}

Task<Result<Response>> send_leave(Api& api, Call& call) {
  POLDER_CO_TRY(std::string text, co_await send(api, call, "leave", say_nothing));
  co_return Response::json(200, std::move(text));
}

Task<Result<Response>> send_knock(Api& api, Call& call) {
  POLDER_CO_TRY(std::string text, co_await send(api, call, "knock", introduce_room));
  co_return Response::json(200, std::move(text));
}

constexpr kit::Terms kEvent = signed_by_server(kEventBody);
constexpr Operation kMembershipOperations[] = {
    {"makeJoin", Method::kGet, "/_matrix/federation/v1/make_join/{roomId}/{userId}", make_join,
     signed_by_server()},
    {"makeLeave", Method::kGet, "/_matrix/federation/v1/make_leave/{roomId}/{userId}", make_leave,
     signed_by_server()},
    {"makeKnock", Method::kGet, "/_matrix/federation/v1/make_knock/{roomId}/{userId}", make_knock,
     signed_by_server()},
    {"sendJoinV1", Method::kPut, "/_matrix/federation/v1/send_join/{roomId}/{eventId}",
     send_join_v1, kEvent},
    {"sendJoinV2", Method::kPut, "/_matrix/federation/v2/send_join/{roomId}/{eventId}", send_join,
     kEvent},
    {"sendLeaveV1", Method::kPut, "/_matrix/federation/v1/send_leave/{roomId}/{eventId}",
     send_leave_v1, kEvent},
    {"sendLeaveV2", Method::kPut, "/_matrix/federation/v2/send_leave/{roomId}/{eventId}",
     send_leave, kEvent},
    {"sendKnock", Method::kPut, "/_matrix/federation/v1/send_knock/{roomId}/{eventId}", send_knock,
     kEvent},
};

}  // namespace

void add_membership_routes(http::Router& router, Api& api) {
  add_operations(router, api, kMembershipOperations);
}

}  // namespace polder::federation_server
