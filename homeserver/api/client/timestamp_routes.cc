// From a time to the event of a room that is closest to it.
#include "federation/client/client.h"
#include "homeserver/api/client/room_reading.h"
#include "homeserver/rooms/read/at_time.h"
#include "homeserver/rooms/read/gaps.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::client_api {
namespace {

using http::Method;
using http::Response;
using rooms::EventAtTime;
using rooms::TimeQuery;

constexpr size_t kBackfillMax = 50;  // the event that another server has, and what precedes it

Result<TimeQuery> query_of(const Call& call) {
  TimeQuery query;
  POLDER_TRY(query.time_ms, call.query().integer("ts"));
  POLDER_TRY(const auto direction, call.query().one_of("dir", {"f", "b"}));
  if (!direction) return fail(ErrorCode::kMissing, "Missing parameter: dir");
  query.forwards = direction == "f";
  return query;
}

struct Local {
  std::optional<EventAtTime> found;
  rooms::RoomHeadPtr head;
  std::vector<ServerName> to_ask;  // who may have a closer one
};

Result<Local> read_local(const Api& api, const Call& call, TimeQuery query) {
  POLDER_TRY(const OpenedRoom opened, open_room(api, call));
  const rooms::RoomReader& reader = *opened.reader;
  POLDER_CHECK(reader.visible_state(opened.of));
  Local local;
  local.head = api.rooms.head(reader.head().number);
  POLDER_TRY(local.found, rooms::event_at_time(reader, query, [&](const rooms::HeldEvent& held) {
               return reader.visible(opened.of, held);
             }));
  POLDER_TRY(const bool elsewhere, rooms::may_be_closer_elsewhere(reader, query, local.found));
  if (elsewhere && local.head) {
    POLDER_TRY(local.to_ask, rooms::servers_to_ask(api.rooms, *local.head));
  }
  return local;
}

bool is_closer(int64_t time_ms, const std::optional<EventAtTime>& found, TimeQuery query) {
  if (query.forwards)
    return time_ms >= query.time_ms && (!found || time_ms < found->origin_server_ts);
  return time_ms <= query.time_ms && (!found || time_ms > found->origin_server_ts);
}

// "It should determine, using the origin_server_ts property, whether the returned event is closer
// to the requested timestamp than the closest event that it could find locally. If so, it should
// try to backfill this event." True if something was stored.
Task<bool> fetch_closer(const Api& api, Local local, TimeQuery query) {
  for (const ServerName& server : local.to_ask) {
    const auto told = co_await api.federation.event_at_time(server, local.head->record.id,
                                                            query.time_ms, query.forwards);
    if (!told.ok()) continue;
    if (!is_closer(told->origin_server_ts, local.found, query)) co_return false;
    std::vector<EventId> wanted(1, told->event);
    const auto stored = co_await api.writer.backfill(server, local.head->record.id,
                                                     std::move(wanted), kBackfillMax);
    if (stored.ok() && *stored > 0) co_return true;
  }
  co_return false;
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event
Task<Result<Response>> timestamp_to_event(const Api& api, Call& call) {
  POLDER_CO_TRY(const TimeQuery query, query_of(call));
  const auto read = [&api, &call, query] { return read_local(api, call, query); };
  POLDER_CO_TRY(Local local, co_await runtime::on_pool(api.runtime, read));
  const bool fetched = co_await fetch_closer(api, local, query);
  if (fetched) {
    POLDER_CO_TRY(local, co_await runtime::on_pool(api.runtime, read));
  }
  if (!local.found) {
    co_return fail(ErrorCode::kNotFound, "Unable to find event from " +
                                             std::to_string(query.time_ms) + " in direction " +
                                             (query.forwards ? "f" : "b"));
  }
  co_return ok_json(
      {{"event_id", local.found->id.str()}, {"origin_server_ts", local.found->origin_server_ts}});
}

constexpr Operation kTimestampOperations[] = {
    {"getEventByTimestamp", Method::kGet, "/_matrix/client/v1/rooms/{roomId}/timestamp_to_event",
     timestamp_to_event},
};

}  // namespace

void add_timestamp_routes(http::Router& router, const Api& api) {
  add_operations(router, api, kTimestampOperations);
}

}  // namespace polder::client_api
