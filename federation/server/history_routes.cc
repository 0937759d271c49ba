// A room's past, for the servers that are in it: events, states, what authorises them.
#include <algorithm>

#include "federation/server/open_room.h"
#include "homeserver/base/json/write.h"
#include "homeserver/rooms/read/at_time.h"

namespace polder::federation_server {
namespace {

using http::Method;
using http::Response;
using rooms::FederationReader;
using stores::EventNumber;

constexpr int64_t kEventsMax = 100;      // of one page
constexpr size_t kIdsMax = 100;          // of events that a request names
constexpr int64_t kMissingDefault = 10;  // "Defaults to 10."

Status write_pdus(json::Writer& writer, const FederationReader& room,
                  const std::vector<EventNumber>& events) {
  writer.begin_array();
  for (const EventNumber number : events) {
    POLDER_TRY(const std::string pdu, room.pdu(number));
    writer.raw(pdu);
  }
  writer.end_array();
  return {};
}

Status write_visible(json::Writer& writer, FederationReader& room,
                     const std::vector<EventNumber>& events) {
  writer.begin_array();
  for (const EventNumber number : events) {
    POLDER_TRY(const std::string pdu, room.visible_pdu(number));
    writer.raw(pdu);
  }
  writer.end_array();
  return {};
}

Status write_ids(json::Writer& writer, const FederationReader& room,
                 const std::vector<EventNumber>& events) {
  POLDER_TRY(const auto ids, room.ids(events));
  writer.begin_array();
  for (const EventId& id : ids)
    writer.string(id.view());
  writer.end_array();
  return {};
}

// A transaction that carries what was asked for.
void begin_transaction(json::Writer& writer, const Api& api) {
  writer.begin_object()
      .member("origin", api.own_name().view())
      .member("origin_server_ts", api.runtime().clock().wall_ms())
      .key("pdus");
}

Result<std::vector<EventId>> read_ids(const Call& call, std::string_view name) {
  POLDER_TRY(const auto list, call.fields().strings(name, {.count_max = kIdsMax}));
  std::vector<EventId> ids;
  for (const std::string& entry : list) {
    POLDER_TRY(EventId id, EventId::parse(entry));
    ids.push_back(std::move(id));
  }
  return ids;
}

// The state before the event that the query names, and its auth chain.
struct StateBefore {
  std::vector<EventNumber> state;
  std::vector<EventNumber> auth_chain;
};
Result<StateBefore> state_before(const FederationReader& room, const Call& call) {
  POLDER_TRY(const auto text, call.query().text("event_id"));
  POLDER_TRY(const EventId id, EventId::parse(text));
  POLDER_TRY(const auto found, room.find(id));
  if (found.second.record.standing.outlier)
    return fail(ErrorCode::kNotFound, "The state at this event is not known");
  if (found.second.record.standing.partial)
    return fail(ErrorCode::kUnavailable, "The state at this event is not known in full yet");
  StateBefore before;
  POLDER_TRY(before.state, room.state(found.second.record.state_before));
  POLDER_TRY(before.auth_chain, room.auth_chain(before.state));
  return before;
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1stateroomid
Result<Response> state(Api&, OpenRoom& room, const Call& call) {
  POLDER_TRY(const StateBefore before, state_before(room.federation, call));
  std::string text;
  json::Writer writer(text);
  writer.begin_object().key("auth_chain");
  POLDER_CHECK(write_pdus(writer, room.federation, before.auth_chain));
  writer.key("pdus");
  POLDER_CHECK(write_pdus(writer, room.federation, before.state));
  writer.end_object();
  return Response::json(200, std::move(text));
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1state_idsroomid
Result<Response> state_ids(Api&, OpenRoom& room, const Call& call) {
  POLDER_TRY(const StateBefore before, state_before(room.federation, call));
  std::string text;
  json::Writer writer(text);
  writer.begin_object().key("auth_chain_ids");
  POLDER_CHECK(write_ids(writer, room.federation, before.auth_chain));
  writer.key("pdu_ids");
  POLDER_CHECK(write_ids(writer, room.federation, before.state));
  writer.end_object();
  return Response::json(200, std::move(text));
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1event_authroomideventid
Result<Response> event_auth(Api&, OpenRoom& room, const Call& call) {
  POLDER_TRY(const EventId id, EventId::parse(call.path("eventId")));
  POLDER_TRY(const auto found, room.federation.find(id));
  POLDER_TRY(const auto chain, room.federation.auth_chain({found.first}));
  std::string text;
  json::Writer writer(text);
  writer.begin_object().key("auth_chain");
  POLDER_CHECK(write_pdus(writer, room.federation, chain));
  writer.end_object();
  return Response::json(200, std::move(text));
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1backfillroomid
Result<Response> backfill(Api& api, OpenRoom& room, const Call& call) {
  POLDER_TRY(const int64_t limit, call.query().integer("limit"));
  const auto names = call.request().query_parameters("v");
  if (names.empty()) return fail(ErrorCode::kMissing, "v is missing");
  if (names.size() > kIdsMax) return fail(ErrorCode::kTooLarge, "Too many events");
  std::vector<EventId> from;
  for (const std::string& name : names) {
    POLDER_TRY(EventId id, EventId::parse(name));
    from.push_back(std::move(id));
  }
  const auto count = static_cast<size_t>(std::clamp<int64_t>(limit, 0, kEventsMax));
  POLDER_TRY(const auto events, room.federation.backfill(from, count));
  std::string text;
  json::Writer writer(text);
  begin_transaction(writer, api);
  POLDER_CHECK(write_visible(writer, room.federation, events));
  writer.end_object();
  return Response::json(200, std::move(text));
}

// https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1get_missing_eventsroomid
Result<Response> missing_events(Api&, OpenRoom& room, const Call& call) {
  POLDER_TRY(const auto earliest, read_ids(call, "earliest_events"));
  POLDER_TRY(const auto latest, read_ids(call, "latest_events"));
  POLDER_TRY(const int64_t limit, call.fields().integer_or("limit", kMissingDefault));
  POLDER_TRY(const int64_t min_depth, call.fields().integer_or("min_depth", 0));
  const auto count = static_cast<size_t>(std::clamp<int64_t>(limit, 0, kEventsMax));
  POLDER_TRY(const auto events, room.federation.missing(earliest, latest, min_depth, count));
  std::string text;
  json::Writer writer(text);
  writer.begin_object().key("events");
  POLDER_CHECK(write_visible(writer, room.federation, events));
  writer.end_object();
  return Response::json(200, std::move(text));
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1timestamp_to_eventroomid
Result<Response> timestamp_to_event(Api&, OpenRoom& room, const Call& call) {
  POLDER_TRY(const auto direction, call.query().one_of("dir", {"f", "b"}));
  if (!direction) return fail(ErrorCode::kMissing, "dir is missing");
  rooms::TimeQuery query;
  POLDER_TRY(query.time_ms, call.query().integer("ts"));
  query.forwards = direction == "f";
  POLDER_TRY(const auto found,
             rooms::event_at_time(room.reader, query, [&](const rooms::HeldEvent& held) {
               return room.federation.visible(held);
             }));
  if (!found) return fail(ErrorCode::kNotFound, "No event was found in that direction");
  return ok_json({{"event_id", found->id.str()}, {"origin_server_ts", found->origin_server_ts}});
}

// The path names no room: the event does. Who may not know of the one cannot tell whether the other
// exists.
Result<Response> read_event(Api& api, const Call& call) {
  const Error unknown = fail(ErrorCode::kNotFound, "Event not found");
  POLDER_TRY(const EventId id, EventId::parse(call.path("eventId")));
  POLDER_TRY(const auto place, stores::find_event(*api.parts.database.snapshot(), id));
  const rooms::RoomHeadPtr head = place ? api.rooms().head(place->room) : nullptr;
  if (!head) return unknown;
  auto opened = open_room(api, head->record.id, call.origin());
  if (!opened.ok()) return opened.error().code == ErrorCode::kForbidden ? unknown : opened.error();
  FederationReader& room = (*opened)->federation;
  POLDER_TRY(const auto found, room.find(id));
  POLDER_TRY(const bool inside, room.in_room());
  POLDER_TRY(const bool visible, room.visible(found.second));
  if (!inside && !visible) return unknown;
  POLDER_TRY(const std::string pdu, room.visible_pdu(found.first));
  std::string text;
  json::Writer writer(text);
  begin_transaction(writer, api);
  writer.begin_array().raw(pdu).end_array().end_object();
  return Response::json(200, std::move(text));
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1eventeventid
Task<Result<Response>> event(Api& api, Call& call) {
  return runtime::on_pool(api.runtime(), [&api, &call] { return read_event(api, call); });
}

constexpr Operation kHistoryOperations[] = {
    {"getRoomState", Method::kGet, "/_matrix/federation/v1/state/{roomId}", reading<state>,
     signed_by_server()},
    {"getRoomStateIds", Method::kGet, "/_matrix/federation/v1/state_ids/{roomId}",
     reading<state_ids>, signed_by_server()},
    {"getEventAuth", Method::kGet, "/_matrix/federation/v1/event_auth/{roomId}/{eventId}",
     reading<event_auth>, signed_by_server()},
    {"getEvent", Method::kGet, "/_matrix/federation/v1/event/{eventId}", event, signed_by_server()},
    {"backfillRoom", Method::kGet, "/_matrix/federation/v1/backfill/{roomId}", reading<backfill>,
     signed_by_server()},
    {"getEventByTimestamp", Method::kGet, "/_matrix/federation/v1/timestamp_to_event/{roomId}",
     reading<timestamp_to_event>, signed_by_server()},
    {"getMissingPreviousEvents", Method::kPost,
     "/_matrix/federation/v1/get_missing_events/{roomId}", reading<missing_events>,
     signed_by_server(kSmallBody)},
};

}  // namespace

void add_history_routes(http::Router& router, Api& api) {
  add_operations(router, api, kHistoryOperations);
}

}  // namespace polder::federation_server
