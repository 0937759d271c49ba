// Reading what rooms are: their state, who is in them, and which rooms one is in.
#include "homeserver/api/client/room_reading.h"
#include "homeserver/api/client/state_pieces.h"
#include "homeserver/base/json/write.h"
#include "homeserver/rooms/model/refusals.h"
#include "homeserver/sync/classic/tokens.h"

namespace polder::client_api {
namespace {

using http::Method;
using http::Response;
using rooms::ReaderOf;
using rooms::RoomReader;

constexpr size_t kFirstEvents = 2;  // of a room made here, these are its creation and a join

Status append_event(const RoomReader& reader, const ReaderOf& of, stores::EventNumber number,
                    std::string& out) {
  POLDER_TRY(const auto event, reader.shown(number));
  return reader.append_client_event(of, number, *event, {}, out);
}

Result<Response> all_state(const Api& api, const RoomReader& reader, const ReaderOf& of,
                           const Call&) {
  POLDER_TRY(const auto root, reader.visible_state(of));
  return state_in_pieces(api, reader, of, root, std::nullopt, {"[", "]", append_event});
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
  POLDER_TRY(const auto last, reader.timeline_backwards(0, stream->position, 1));
  std::optional<rooms::HeldEvent> held;
  if (last.empty()) {
    POLDER_TRY(held, first_with_members(reader));
  } else {
    POLDER_TRY(held, reader.view().load(last[0].number));
  }
  if (!held) return stores::StateRoot();
  POLDER_TRY(const bool visible, reader.sees_room_at(of, *held));
  if (!visible) return fail(ErrorCode::kForbidden, "You were not a member of this room then");
  return held->record.room_state.value_or(held->record.state_after);
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmembers
Result<Response> members(const Api& api, const RoomReader& reader, const ReaderOf& of,
                         const Call& call) {
  static constexpr std::initializer_list<std::string_view> kMemberships = {"join", "invite",
                                                                           "knock", "leave", "ban"};
  POLDER_TRY(const auto only, call.query().one_of("membership", kMemberships));
  POLDER_TRY(const auto without, call.query().one_of("not_membership", kMemberships));
  POLDER_TRY(auto root, reader.visible_state(of));
  if (const auto at = call.query("at")) {
    POLDER_TRY(root, state_at(reader, of, *at));
  }
  const auto text_of = [](std::optional<std::string_view> name) {
    return name ? std::optional(std::string(*name)) : std::nullopt;
  };
  const auto append = [only = text_of(only), without = text_of(without)](
                          const RoomReader& room, const ReaderOf& user, stores::EventNumber number,
                          std::string& out) -> Status {
    POLDER_TRY(const auto event, room.shown(number));
    const std::string_view membership = stores::to_string(event->membership());
    if ((only && membership != *only) || (without && membership == *without)) return {};
    return room.append_client_event(user, number, *event, {}, out);
  };
  return state_in_pieces(api, reader, of, root, "m.room.member", {R"({"chunk":[)", "]}", append});
}

// As other servers do, what a member does not have is there and null.
Status append_profile(const RoomReader& reader, const ReaderOf&, stores::EventNumber number,
                      std::string& out) {
  POLDER_TRY(const auto held, reader.view().load(number));
  if (held.event->membership() != "join") return {};
  const auto field = [&](std::string_view name) {
    const json::Value* value = held.event->content().find(name);
    return value != nullptr ? *value : json::Value();
  };
  json::write_string_to(*held.event->state_key(), out);
  out.push_back(':');
  json::write_to(
      json::object({{"avatar_url", field("avatar_url")}, {"display_name", field("displayname")}}),
      out);
  return {};
}

Result<Response> joined_members(const Api& api, const RoomReader& reader, const ReaderOf& of,
                                const Call&) {
  if (of.membership.membership != stores::Membership::kJoin) return rooms::not_in_room();
  return state_in_pieces(api, reader, of, reader.head().record.state, "m.room.member",
                         {R"({"joined":{)", "}}", append_profile});
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

constexpr Operation kStateOperations[] = {
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
  add_operations(router, api, kStateOperations);
}

}  // namespace polder::client_api
