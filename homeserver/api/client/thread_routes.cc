// The threads of a room.
#include "homeserver/api/client/room_reading.h"
#include "homeserver/base/json/write.h"
#include "homeserver/rooms/read/threads.h"
#include "homeserver/sync/classic/tokens.h"

namespace polder::client_api {
namespace {

using http::Method;
using http::Response;
using rooms::ReaderOf;
using rooms::RoomReader;

Result<rooms::ThreadsQuery> query_of(const RoomReader& reader, const Call& call) {
  rooms::ThreadsQuery query;
  POLDER_TRY(const auto include, call.query().one_of("include", {"all", "participated"}));
  query.participated = include == "participated";
  POLDER_TRY(query.limit, call.query().limit());
  if (const auto token = call.query("from")) {
    POLDER_TRY(const auto from,
               sync::history_position(reader, *token, sync::Direction::kBackwards));
    query.before = from.place;
  }
  return query;
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidthreads: "ordered
// by the latest_event in each event's aggregated children".
Result<Response> threads(const Api&, const RoomReader& reader, const ReaderOf& of,
                         const Call& call) {
  POLDER_CHECK(reader.visible_state(of));
  POLDER_TRY(const rooms::ThreadsQuery query, query_of(reader, call));
  POLDER_TRY(const auto page, rooms::read_threads(reader, of, query));
  std::string text;
  json::Writer writer(text);
  writer.begin_object().key("chunk").begin_array();
  for (const rooms::ThreadRoot& thread : page.threads) {
    // "If the thread root event was sent by an ignored user, the event is returned redacted to the
    // caller."
    const events::Event& root = *thread.event.event;
    const bool redacted = of.hides(root.sender().view(), root.is_state());
    POLDER_TRY(const std::string event,
               client_event(reader, of, thread.number, thread.event, call, redacted));
    writer.raw(event);
  }
  writer.end_array();
  if (page.more && !page.threads.empty())
    writer.member("next_batch",
                  std::string_view(sync::history_token({page.threads.back().latest})));
  writer.end_object();
  return Response::json(200, std::move(text));
}

constexpr Operation kThreadOperations[] = {
    {"getThreadRoots", Method::kGet, "/_matrix/client/v1/rooms/{roomId}/threads", reading<threads>},
};

}  // namespace

void add_thread_routes(http::Router& router, const Api& api) {
  add_operations(router, api, kThreadOperations);
}

}  // namespace polder::client_api
