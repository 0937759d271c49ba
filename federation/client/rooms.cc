#include "federation/client/answers.h"
#include "federation/client/client.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/room_version.h"
#include "homeserver/protocol/events/signing.h"

namespace polder::client {
namespace {

constexpr size_t kStrippedMax = 50;
constexpr size_t kStrippedBytesMax = 64 * 1024;

// Every version known here that a rule allows.
template <class Rule>
transport::Query versions(Rule allows) {
  transport::Query query;
  for (const events::RoomVersionRules& rules : events::room_versions()) {
    if (allows(rules)) query.emplace_back("ver", std::string(rules.id));
  }
  return query;
}

std::string send_path(std::string_view what, const events::Event& event) {
  return transport::path_of(what, {event.room_id().view(), event.id().view()});
}

// So that no room's state can make an invite that the other server must refuse.
json::Array bounded(json::Array state) {
  json::Array kept;
  size_t bytes = 0;
  for (json::Value& event : state) {
    const size_t size = json::write(event).size();
    if (size > kStrippedBytesMax - bytes || kept.size() == kStrippedMax) continue;
    bytes += size;
    kept.push_back(std::move(event));
  }
  return kept;
}

// The invited server may add its signature, and nothing else.
Result<events::EventPtr> signed_invite(const events::Event& sent, const json::Object* answer) {
  if (answer == nullptr) return fail(ErrorCode::kInvalid, "the answer has no event");
  POLDER_TRY(auto event, events::Event::parse(*answer, sent.rules()));
  if (events::signed_bytes_of_json(event->object()) != events::signed_bytes_of_json(sent.object()))
    return fail(ErrorCode::kInvalid, "the invited server changed the invite");
  return event;
}

}  // namespace

Task<Result<MembershipTemplate>> FederationClient::make(const char* membership, ServerName server,
                                                        RoomId room, UserId user,
                                                        transport::Query versions) {
  transport::Call call = of_user();
  call.path = transport::path_of(std::string("/_matrix/federation/v1/make_") + membership,
                                 {room.view(), user.view()});
  call.query = std::move(versions);
  call.body_max = 1 << 20;
  POLDER_CO_TRY(const auto answer, co_await servers_.request(std::move(server), std::move(call)));
  const TemplateRequest requested{std::move(room), std::move(user), membership};
  co_return read_template(answer, requested);
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_joinroomiduserid
Task<Result<MembershipTemplate>> FederationClient::make_join(ServerName server, RoomId room,
                                                             UserId user) {
  return make("join", std::move(server), std::move(room), std::move(user),
              versions([](const auto&) { return true; }));
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_leaveroomiduserid
Task<Result<MembershipTemplate>> FederationClient::make_leave(ServerName server, RoomId room,
                                                              UserId user) {
  return make("leave", std::move(server), std::move(room), std::move(user), {});
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_knockroomiduserid
Task<Result<MembershipTemplate>> FederationClient::make_knock(ServerName server, RoomId room,
                                                              UserId user) {
  return make("knock", std::move(server), std::move(room), std::move(user),
              versions([](const auto& rules) { return rules.knocking; }));
}

// https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid
Task<Result<SentJoin>> FederationClient::send_join(ServerName server, events::EventPtr join,
                                                   bool omit_members) {
  transport::Call call = of_user();
  call.method = http::Method::kPut;
  call.path = send_path("/_matrix/federation/v2/send_join", *join);
  if (omit_members) call.query = {{"omit_members", "true"}};
  call.body = join->json();
  POLDER_CO_TRY(const auto answer,
                co_await state_answer(std::move(server), std::move(call), "state"));
  SentJoin joined;
  POLDER_CO_TRY(joined.state, answer->finish());
  if (const auto event = answer->member("event"); event.ok() && *event != "null")
    joined.event = std::string(*event);
  const auto omitted = answer->member("members_omitted");
  joined.members_omitted = omitted.ok() && *omitted == "true";
  joined.servers_in_room = answer->servers_in_room();
  co_return joined;
}

// https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_leaveroomideventid
Task<Status> FederationClient::send_leave(ServerName server, events::EventPtr leave) {
  transport::Call call = of_user();
  call.method = http::Method::kPut;
  call.path = send_path("/_matrix/federation/v2/send_leave", *leave);
  call.body = leave->json();
  POLDER_CO_CHECK(co_await servers_.call(std::move(server), std::move(call)));
  co_return Status();
}

// https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1send_knockroomideventid
Task<Result<json::Array>> FederationClient::send_knock(ServerName server, events::EventPtr knock) {
  transport::Call call = of_user();
  call.method = http::Method::kPut;
  call.path = send_path("/_matrix/federation/v1/send_knock", *knock);
  call.body = knock->json();
  POLDER_CO_TRY(auto answer, co_await servers_.request(std::move(server), std::move(call)));
  const json::Array* state = answer.find_array("knock_room_state");
  if (state == nullptr) co_return fail(ErrorCode::kInvalid, "the answer has no knock_room_state");
  co_return bounded(*state);
}

// https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2inviteroomideventid
Task<Result<events::EventPtr>> FederationClient::invite(ServerName server, events::EventPtr invite,
                                                        json::Array invite_room_state) {
  json::Value state = bounded(std::move(invite_room_state));
  transport::Call call = of_user();
  call.method = http::Method::kPut;
  call.path = send_path("/_matrix/federation/v2/invite", *invite);
  call.body = json::write(json::Object{{"event", invite->object()},
                                       {"invite_room_state", state},
                                       {"room_version", std::string(invite->rules().id)}});
  call.body_max = 1 << 20;
  const auto answer = co_await servers_.request(server, std::move(call));
  if (answer.ok()) co_return signed_invite(*invite, answer->find_object("event"));
  // Servers without the second version of this endpoint know the first room versions only.
  const ErrorCode code = answer.error().code;
  const bool old_server = code == ErrorCode::kUnsupported || code == ErrorCode::kNotFound;
  if (!old_server || invite->rules().event_ids != events::EventIdFormat::kServerGiven)
    co_return answer.error();
  json::Object body = invite->object();
  body.set("unsigned", json::object({{"invite_room_state", std::move(state)}}));
  transport::Call older = of_user();
  older.method = http::Method::kPut;
  older.path = send_path("/_matrix/federation/v1/invite", *invite);
  older.body = json::write(body);
  older.body_max = 1 << 20;
  POLDER_CO_TRY(const auto response, co_await servers_.call(std::move(server), std::move(older)));
  // [200, {"event": ...}]
  POLDER_CO_TRY(const auto parts, wire::cut_array(response.body, 2));
  if (parts.size() != 2) co_return fail(ErrorCode::kInvalid, "not the answer to an invite");
  POLDER_CO_TRY(const auto object, json::parse_object(parts[1]));
  co_return signed_invite(*invite, object.find_object("event"));
}

}  // namespace polder::client
