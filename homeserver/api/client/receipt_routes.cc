// Receipts, read markers, typing.
// https://spec.matrix.org/v1.19/client-server-api/#receipts
#include "federation/devices/devices.h"
#include "homeserver/api/client/api.h"
#include "homeserver/rooms/model/event_thread.h"
#include "homeserver/rooms/model/refusals.h"
#include "homeserver/rooms/read/reader.h"

namespace polder::client_api {
namespace {

using http::Method;
using http::Response;

constexpr int64_t kTypingDefaultMs = 30'000;
constexpr int64_t kTypingMaxMs = 60'000;

// The room, if the caller is in it.
Task<Result<rooms::RoomHeadPtr>> joined_room(const Api& api, const Call& call) {
  POLDER_CO_TRY(const RoomId room, room_of(call));
  const UserId user = call.session().user;
  co_return co_await runtime::on_pool(api.runtime,
                                      [&api, room, user]() -> Result<rooms::RoomHeadPtr> {
                                        POLDER_TRY(const auto head, api.rooms.head(room));
                                        if (!head) return rooms::not_in_room();
                                        const rooms::RoomReader reader(api.rooms, head);
                                        POLDER_TRY(const auto of, reader.reader(user));
                                        if (of.membership.membership != stores::Membership::kJoin)
                                          return rooms::not_in_room();
                                        return head;
                                      });
}

struct Marker {
  std::string type;    // m.read, m.read.private, m.fully_read
  std::string thread;  // empty: unthreaded
  EventId event;
};

// A marker points at an event of its room (CVE-2023-42453), and of the thread that it names.
Status check_marker(const rooms::RoomReader& reader, const Marker& marker) {
  POLDER_TRY(const auto number, reader.view().find(marker.event));
  if (!number) return fail(ErrorCode::kNotFound, "The event is not in this room");
  if (marker.thread.empty()) return {};
  POLDER_TRY(const auto held, reader.view().load(*number));
  POLDER_TRY(const bool fits, rooms::may_be_read_in(*held.event, marker.thread,
                                                    reader.head().number, reader.view()));
  if (!fits) return fail(ErrorCode::kInvalid, "The event is not in the thread of thread_id");
  return {};
}

Task<Status> set_marker(const Api& api, const Call& call, rooms::RoomHeadPtr head, Marker marker) {
  const stores::UserNumber user = call.session().number;
  if (marker.type == users::kFullyReadType)
    co_return co_await api.account_data.set_fully_read(user, head->number, marker.event);
  POLDER_CO_TRY(
      const bool moved,
      co_await api.receipts.set(user, head->number, {marker.type, marker.thread, marker.event}));
  if (moved && marker.type == "m.read") {
    co_await api.devices.ephemeral.receipt(
        head, call.session().user,
        {marker.type, marker.thread, marker.event, api.runtime.clock().wall_ms()});
  }
  co_return Status();
}

// All of them, or none if one is wrong.
Task<Status> set_markers(const Api& api, const Call& call, rooms::RoomHeadPtr head,
                         std::vector<Marker> markers) {
  auto shared = std::make_shared<const std::vector<Marker>>(std::move(markers));
  POLDER_CO_CHECK(co_await runtime::on_pool(api.runtime, [&api, head, shared]() -> Status {
    const rooms::RoomReader reader(api.rooms, head);
    for (const Marker& marker : *shared)
      POLDER_CHECK(check_marker(reader, marker));
    return {};
  }));
  for (const Marker& marker : *shared)
    POLDER_CO_CHECK(co_await set_marker(api, call, head, marker));
  co_return Status();
}

bool is_marker(std::string_view type) {
  return type == "m.read" || type == "m.read.private" || type == users::kFullyReadType;
}

Task<Result<Response>> post_receipt(const Api& api, Call& call) {
  Marker marker;
  marker.type = call.path("receiptType");
  if (!is_marker(marker.type)) co_return fail(ErrorCode::kInvalid, "Unknown receipt type");
  POLDER_CO_TRY(marker.event, EventId::parse(call.path("eventId")));
  POLDER_CO_TRY(const auto thread,
                call.fields().optional_string(
                    "thread_id", {.bytes_min = 1, .bytes_max = users::kThreadIdBytesMax}));
  if (thread && marker.type == users::kFullyReadType)
    co_return fail(ErrorCode::kInvalid, "m.fully_read has no threads");
  marker.thread = thread.value_or("");
  POLDER_CO_TRY(const auto head, co_await joined_room(api, call));
  std::vector<Marker> markers(1, std::move(marker));
  POLDER_CO_CHECK(co_await set_markers(api, call, head, std::move(markers)));
  co_return empty_json();
}

Task<Result<Response>> post_read_markers(const Api& api, Call& call) {
  POLDER_CO_TRY(const auto head, co_await joined_room(api, call));
  std::vector<Marker> markers;
  for (const std::string_view type :
       {users::kFullyReadType, std::string_view("m.read"), std::string_view("m.read.private")}) {
    POLDER_CO_TRY(const auto named, call.fields().optional_string(type));
    if (!named) continue;
    POLDER_CO_TRY(EventId event, EventId::parse(*named));
    markers.push_back({std::string(type), "", std::move(event)});
  }
  POLDER_CO_CHECK(co_await set_markers(api, call, head, std::move(markers)));
  co_return empty_json();
}

// https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidtypinguserid
Task<Result<Response>> put_typing(const Api& api, Call& call) {
  if (call.path("userId") != call.session().user.view())
    co_return fail(ErrorCode::kForbidden, "You can only do this for yourself");
  POLDER_CO_TRY(const bool typing, call.fields().boolean("typing"));
  POLDER_CO_TRY(const int64_t asked, call.fields().integer_or("timeout", kTypingDefaultMs));
  POLDER_CO_TRY(const auto head, co_await joined_room(api, call));
  if (!typing) {
    api.typing.clear(head->number, call.session().user);
    co_await api.devices.ephemeral.typing(head, call.session().user, std::nullopt);
    co_return empty_json();
  }
  const Millis timeout(std::clamp<int64_t>(asked, 1, kTypingMaxMs));
  api.typing.set(head->number, call.session().user, timeout);
  co_await api.devices.ephemeral.typing(head, call.session().user, timeout);
  co_return empty_json();
}

constexpr Operation kReceiptOperations[] = {
    {"postReceipt",
     Method::kPost,
     "/_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}",
     post_receipt,
     {.body_max = kSmallBody, .body = http::Body::kOptional}},
    {"setReadMarker",
     Method::kPost,
     "/_matrix/client/v3/rooms/{roomId}/read_markers",
     post_read_markers,
     {.body_max = kSmallBody}},
    {"setTyping",
     Method::kPut,
     "/_matrix/client/v3/rooms/{roomId}/typing/{userId}",
     put_typing,
     {.body_max = kSmallBody}},
};

}  // namespace

void add_receipt_routes(http::Router& router, const Api& api) {
  add_operations(router, api, kReceiptOperations);
}

}  // namespace polder::client_api
