// Reading what rooms are: their state, who is in them, and which rooms one is in.
#include "homeserver/api/client/room_reading.h"
#include "homeserver/base/json/write.h"
#include "homeserver/rooms/permission.h"

namespace polder::client_api {
namespace {

using http::Method;
using http::Response;
using rooms::ReaderOf;
using rooms::RoomReader;

constexpr size_t kFirstEvents = 2;  // of a room made here, these are its creation and a join

Result<Response> all_state(const Api&, const RoomReader& reader, const ReaderOf& of, const Call&) {
  POLDER_TRY(const auto root, reader.visible_state(of));
  std::string text;
  json::Writer writer(text);
  POLDER_CHECK(write_state(writer, reader, of, root, std::nullopt,
                           [](const events::Event&) { return true; }));
  return Response::json(200, std::move(text));
}

Result<Response> one_state(const Api&, const RoomReader& reader, const ReaderOf& of,
                           const Call& call) {
  POLDER_TRY(const auto format, call.query().one_of("format", {"content", "event"}));
  POLDER_TRY(const auto root, reader.visible_state(of));
  POLDER_TRY(const auto event,
             reader.state_event(root, call.path("eventType"), call.path("stateKey")));
  if (!event) return fail(ErrorCode::kNotFound, "No such state event");
  if (format != "event") return ok_json(event->content());
  POLDER_TRY(const auto number, reader.view().find(event->id()));
  POLDER_TRY(const auto held, reader.view().load(*number));
  POLDER_TRY(std::string text, reader.client_event(of, *number, held, {}));
  return Response::json(200, std::move(text));
}

// The first event after which the room has members: of a room made here its creator's join, else
// the event with which this server entered it.
Result<std::optional<rooms::HeldEvent>> first_with_members(const RoomReader& reader) {
  POLDER_TRY(const auto first,
             stores::read_timeline_forwards(reader.snapshot(), reader.head().number, 0,
                                            kv::kLastPosition, kFirstEvents));
  for (const stores::TimelineEntry& entry : first) {
    POLDER_TRY(auto held, reader.view().load(entry.number));
    POLDER_TRY(const auto membership,
               reader.membership_at(held.record.state_after, held.event->sender().view()));
    if (membership == stores::Membership::kJoin) return std::optional(std::move(held));
  }
  return std::optional<rooms::HeldEvent>();
}

// The state at a place that the reader may see. A place before all that this server knows of the
// room, as /sync gives it with a room's first events, is where it began.
Result<stores::StateRoot> state_at(const RoomReader& reader, const ReaderOf& of,
                                   std::string_view token) {
  const auto stream = sync::parse_stream_token(token);
  if (!stream) return fail(ErrorCode::kInvalid, "Unknown token");
  POLDER_TRY(const auto last, stores::read_timeline_backwards(
                                  reader.snapshot(), reader.head().number, 0, stream->position, 1));
  std::optional<rooms::HeldEvent> held;
  if (last.empty()) {
    POLDER_TRY(held, first_with_members(reader));
  } else {
    POLDER_TRY(held, reader.view().load(last[0].number));
  }
  if (!held) return stores::StateRoot();
  POLDER_TRY(const bool visible, reader.visible(of, *held));
  if (!visible) return fail(ErrorCode::kForbidden, "You were not a member of this room then");
  return held->record.room_state.value_or(held->record.state_after);
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmembers
Result<Response> members(const Api&, const RoomReader& reader, const ReaderOf& of,
                         const Call& call) {
  static constexpr std::initializer_list<std::string_view> kMemberships = {"join", "invite",
                                                                           "knock", "leave", "ban"};
  POLDER_TRY(const auto only, call.query().one_of("membership", kMemberships));
  POLDER_TRY(const auto without, call.query().one_of("not_membership", kMemberships));
  POLDER_TRY(auto root, reader.visible_state(of));
  if (const auto at = call.query("at")) {
    POLDER_TRY(root, state_at(reader, of, *at));
  }
  std::string text;
  json::Writer writer(text);
  writer.begin_object().key("chunk");
  POLDER_CHECK(
      write_state(writer, reader, of, root, "m.room.member", [&](const events::Event& member) {
        return (!only || member.membership() == *only) &&
               (!without || member.membership() != *without);
      }));
  writer.end_object();
  return Response::json(200, std::move(text));
}

Result<Response> joined_members(const Api&, const RoomReader& reader, const ReaderOf& of,
                                const Call&) {
  if (of.membership.membership != stores::Membership::kJoin) return rooms::not_in_room();
  json::Object joined;
  POLDER_CHECK(reader.for_each_state(
      reader.head().record.state, "m.room.member",
      [&](stores::EventNumber, const rooms::HeldEvent& held) {
        if (held.event->membership() != "join") return;
        // As other servers do, what a member does not have is there and null.
        const json::Value* name = held.event->content().find("displayname");
        const json::Value* avatar = held.event->content().find("avatar_url");
        joined.set(*held.event->state_key(),
                   json::object({{"display_name", name != nullptr ? *name : json::Value()},
                                 {"avatar_url", avatar != nullptr ? *avatar : json::Value()}}));
      }));
  return ok_json({{"joined", joined}});
}

Task<Result<Response>> joined_rooms(const Api& api, Call& call) {
  const auto user = call.session().number;
  POLDER_CO_TRY(const auto rooms, co_await runtime::on_pool(api.runtime, [&api, user] {
                  return stores::read_rooms_of(*api.database.snapshot(), user);
                }));
  json::Array joined;
  for (const auto& [room, row] : rooms) {
    const auto head = api.rooms.head(room);
    if (row.membership == stores::Membership::kJoin && head)
      joined.emplace_back(head->record.id.str());
  }
  co_return ok_json({{"joined_rooms", joined}});
}

constexpr Operation kOperations[] = {
    {"getRoomState", Method::kGet, "/_matrix/client/v3/rooms/{roomId}/state", reading<all_state>},
    {"getRoomStateWithKey", Method::kGet, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}",
     reading<one_state>},
    // "When an empty string, the trailing slash on this endpoint is optional."
    {"getRoomStateWithKey", Method::kGet, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/",
     reading<one_state>},
    {"getRoomStateWithKey", Method::kGet,
     "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}", reading<one_state>},
    {"getMembersByRoom", Method::kGet, "/_matrix/client/v3/rooms/{roomId}/members",
     reading<members>},
    {"getJoinedMembersByRoom", Method::kGet, "/_matrix/client/v3/rooms/{roomId}/joined_members",
     reading<joined_members>},
    {"getJoinedRooms", Method::kGet, "/_matrix/client/v3/joined_rooms", joined_rooms},
};

}  // namespace

void add_state_routes(http::Router& router, const Api& api) {
  add_operations(router, api, kOperations);
}

}  // namespace polder::client_api
