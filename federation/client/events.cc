#include "federation/client/answers.h"
#include "federation/client/client.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"

namespace polder::client {
namespace {

constexpr size_t kPageMax = 1000;
constexpr Millis kStateTimeout{300'000};

json::Array texts(const std::vector<EventId>& ids) {
  json::Array array;
  for (const EventId& id : ids)
    array.push_back(id.str());
  return array;
}

}  // namespace

Result<std::vector<std::string>> take_pdus(const std::vector<wire::Member>& answer,
                                           std::string_view name, size_t max) {
  POLDER_TRY(const std::string_view list, wire::find_member(answer, name));
  POLDER_TRY(const auto parts, wire::cut_array(list, max));
  std::vector<std::string> pdus;
  pdus.reserve(parts.size());
  for (const std::string_view part : parts) {
    if (part.size() <= kPduBytesMax) pdus.emplace_back(part);
  }
  return pdus;
}

Result<std::vector<EventId>> take_event_ids(const std::vector<wire::Member>& answer,
                                            std::string_view name, size_t max) {
  POLDER_TRY(const std::string_view list, wire::find_member(answer, name));
  POLDER_TRY(const auto parts, wire::cut_array(list, max));
  std::vector<EventId> ids;
  ids.reserve(parts.size());
  for (const std::string_view part : parts) {
    POLDER_TRY(const json::Value value, json::parse(part));
    if (value.as_string() == nullptr) return fail(ErrorCode::kInvalid, "not a list of event ids");
    POLDER_TRY(EventId id, EventId::parse(*value.as_string()));
    ids.push_back(std::move(id));
  }
  return ids;
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1eventeventid
Task<Result<std::string>> FederationClient::event(ServerName server, EventId event) {
  transport::Call call;
  call.path = transport::path_of("/_matrix/federation/v1/event", {event.view()});
  call.body_max = 2 * kPduBytesMax;
  POLDER_CO_TRY(const auto response, co_await servers_.call(std::move(server), std::move(call)));
  POLDER_CO_TRY(const auto answer, wire::cut_object(response.body, kMembersMax));
  POLDER_CO_TRY(auto pdus, take_pdus(answer, "pdus", 1));
  if (pdus.empty()) co_return fail(ErrorCode::kNotFound, "the event was not given");
  co_return std::move(pdus.front());
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1state_idsroomid
Task<Result<rooms::RemoteStateIds>> FederationClient::state_ids(ServerName server, RoomId room,
                                                                EventId event) {
  transport::Call call;
  call.path = transport::path_of("/_matrix/federation/v1/state_ids", {room.view()});
  call.query = {{"event_id", event.str()}};
  call.body_max = kStateBytesMax / 4;
  POLDER_CO_TRY(const auto response, co_await servers_.call(std::move(server), std::move(call)));
  POLDER_CO_TRY(const auto answer, wire::cut_object(response.body, kMembersMax));
  rooms::RemoteStateIds ids;
  POLDER_CO_TRY(ids.state, take_event_ids(answer, "pdu_ids", kStateEventsMax));
  POLDER_CO_TRY(ids.auth_chain, take_event_ids(answer, "auth_chain_ids", kStateEventsMax));
  co_return ids;
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1stateroomid
Task<Result<rooms::RemoteState>> FederationClient::state(ServerName server, RoomId room,
                                                         EventId event) {
  transport::Call call;
  call.path = transport::path_of("/_matrix/federation/v1/state", {room.view()});
  call.query = {{"event_id", event.str()}};
  POLDER_CO_TRY(const auto answer,
                co_await state_answer(std::move(server), std::move(call), "pdus"));
  co_return answer->finish();
}

Task<Result<std::shared_ptr<StateAnswer>>> FederationClient::state_answer(ServerName server,
                                                                          transport::Call call,
                                                                          std::string state_list) {
  const auto answer = std::make_shared<StateAnswer>(std::move(state_list));
  call.sink = answer;
  call.demand.cause = egress::Cause::kRooms;  // the share that is meant for large answers
  call.body_max = kStateBytesMax;
  call.timeout = kStateTimeout;
  POLDER_CO_TRY(auto response, co_await servers_.call(std::move(server), std::move(call)));
  if (!response.body.empty()) POLDER_CO_CHECK(co_await answer->take(std::move(response.body)));
  answer->count(std::move(response.held));
  co_return answer;
}

// https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1get_missing_eventsroomid
Task<Result<std::vector<std::string>>> FederationClient::missing_events(
    ServerName server, RoomId room, rooms::MissingEvents wanted) {
  transport::Call call;
  call.method = http::Method::kPost;
  call.path = transport::path_of("/_matrix/federation/v1/get_missing_events", {room.view()});
  call.body = json::write(json::Object{{"earliest_events", texts(wanted.earliest)},
                                       {"latest_events", texts(wanted.latest)},
                                       {"min_depth", wanted.min_depth},
                                       {"limit", static_cast<int64_t>(wanted.limit)}});
  POLDER_CO_TRY(const auto response, co_await servers_.call(std::move(server), std::move(call)));
  POLDER_CO_TRY(const auto answer, wire::cut_object(response.body, kMembersMax));
  POLDER_CO_TRY(auto pdus, take_pdus(answer, "events", kPageMax));
  if (pdus.size() > wanted.limit) pdus.resize(wanted.limit);
  co_return pdus;
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1backfillroomid
Task<Result<std::vector<std::string>>> FederationClient::backfill(ServerName server, RoomId room,
                                                                  std::vector<EventId> from,
                                                                  size_t limit) {
  transport::Call call;
  call.path = transport::path_of("/_matrix/federation/v1/backfill", {room.view()});
  for (const EventId& id : from)
    call.query.emplace_back("v", id.str());
  call.query.emplace_back("limit", std::to_string(limit));
  call.body_max = 64 << 20;
  POLDER_CO_TRY(const auto response, co_await servers_.call(std::move(server), std::move(call)));
  POLDER_CO_TRY(const auto answer, wire::cut_object(response.body, kMembersMax));
  POLDER_CO_TRY(auto pdus, take_pdus(answer, "pdus", kPageMax));
  if (pdus.size() > limit) pdus.resize(limit);
  co_return pdus;
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1timestamp_to_eventroomid
Task<Result<EventAtTime>> FederationClient::event_at_time(ServerName server, RoomId room,
                                                          int64_t time_ms, bool forwards) {
  transport::Call call;
  call.path = transport::path_of("/_matrix/federation/v1/timestamp_to_event", {room.view()});
  call.query = {{"ts", std::to_string(time_ms)}, {"dir", forwards ? "f" : "b"}};
  POLDER_CO_TRY(const auto answer, co_await servers_.request(std::move(server), std::move(call)));
  const std::string* id = answer.find_string("event_id");
  const auto time = answer.find_int("origin_server_ts");
  if (id == nullptr || !time) co_return fail(ErrorCode::kInvalid, "no event_id or timestamp");
  EventAtTime found;
  POLDER_CO_TRY(found.event, EventId::parse(*id));
  found.origin_server_ts = *time;
  co_return found;
}

}  // namespace polder::client
