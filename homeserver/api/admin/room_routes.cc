// Purging the history of rooms, and deleting them.
// https://element-hq.github.io/synapse/latest/admin_api/purge_history_api.html
// https://element-hq.github.io/synapse/latest/admin_api/rooms.html#version-2-new-version
#include <algorithm>
#include <charconv>

#include "homeserver/api/admin/api.h"
#include "homeserver/api/kit/operations.h"
#include "homeserver/api/kit/respond.h"
#include "homeserver/protocol/policy/act.h"
#include "homeserver/rooms/read/at_time.h"
#include "homeserver/rooms/read/reader.h"

namespace polder::admin_api {
namespace {

using http::Method;
using http::Response;
using kit::Call;
using kit::ok_json;

constexpr size_t kIdLetters = 16;

using Operation = kit::Operation<const Api>;

// --- History ---

// The last event up to a time: what came before it goes.
Result<EventId> event_up_to(const Api& api, const RoomId& room, int64_t time_ms) {
  POLDER_TRY(const auto head, api.rooms.head(room));
  if (!head) return fail(ErrorCode::kNotFound, "Unknown room");
  const rooms::RoomReader reader(api.rooms, head);
  POLDER_TRY(const auto found,
             rooms::event_at_time(reader, {time_ms, false},
                                  [](const rooms::HeldEvent&) { return Result<bool>(true); }));
  if (!found) return fail(ErrorCode::kNotFound, "There is no event to be purged");
  return found->id;
}

Task<Result<EventId>> point_of(const Api& api, RoomId room, const Call& call) {
  const json::Reader in = call.fields();
  POLDER_CO_TRY(const auto named, in.optional_string("purge_up_to_event_id"));
  POLDER_CO_TRY(const auto time, in.optional_integer("purge_up_to_ts"));
  const std::string text(call.path("eventId").empty() ? named.value_or("") : call.path("eventId"));
  if (!text.empty()) co_return EventId::parse(text);
  if (!time)
    co_return fail(ErrorCode::kInvalid, "M_BAD_JSON",
                   "Must specify purge_up_to_event_id or purge_up_to_ts");
  const int64_t time_ms = *time;
  co_return co_await runtime::on_pool(
      api.runtime, [&api, room, time_ms] { return event_up_to(api, room, time_ms); });
}

// The purge's id names it for good, also after a restart: the room, and the depth before which all
// goes.
std::string purge_id(const RoomId& room, int64_t below) {
  return std::to_string(below) + "." + room.str();
}

Task<Result<Response>> purge_history(const Api& api, Call& call) {
  POLDER_CO_TRY(const RoomId room, RoomId::parse(call.path("roomId")));
  POLDER_CO_TRY(const bool local_too, call.fields().boolean_or("delete_local_events", false));
  POLDER_CO_TRY(const EventId up_to, co_await point_of(api, room, call));
  const rooms::HistoryPoint point{up_to, local_too};
  const policy::Administrator actor{call.session().user};
  const auto below = co_await api.upkeep.purge_history(room, point, actor);
  if (!below.ok() && below.error().code == ErrorCode::kExists)
    co_return fail(ErrorCode::kInvalid, "M_UNKNOWN", "Purge already in progress");
  if (!below.ok()) co_return below.error();
  co_return ok_json({{"purge_id", purge_id(room, *below)}});
}

Task<Result<Response>> purge_history_status(const Api& api, Call& call) {
  const Error unknown = fail(ErrorCode::kNotFound, "purge id not found");
  const std::string_view id = call.path("purgeId");
  int64_t below = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), below);
  if (error != std::errc() || end == id.data() + id.size() || *end != '.') co_return unknown;
  const auto room = RoomId::parse(id.substr(static_cast<size_t>(end - id.data()) + 1));
  if (!room.ok()) co_return unknown;
  const RoomId named = *room;
  POLDER_CO_TRY(const auto done, co_await runtime::on_pool(api.runtime, [&api, named, below] {
                  return api.upkeep.is_history_purged(named, below);
                }));
  if (!done) co_return unknown;
  co_return ok_json({{"status", *done ? "complete" : "active"}});
}

// --- Rooms ---

// Also those with an invite, or a knock, that they have outside. Members come last: as long as one
// is there, the others can be let go from within the room.
Result<std::vector<UserId>> local_users(const Api& api, const RoomId& room) {
  POLDER_TRY(const auto head, api.rooms.head(room));
  if (!head) return fail(ErrorCode::kNotFound, "Unknown room");
  const rooms::RoomReader reader(api.rooms, head);
  std::vector<UserId> users;
  const std::string_view own = api.rooms.own_name.view();
  POLDER_CHECK(reader.for_each_state(
      head->record.state, "m.room.member", [&](stores::EventNumber, const rooms::HeldEvent& held) {
        const auto user = UserId::parse(*held.event->state_key());
        const stores::Membership membership = stores::membership_from(held.event->membership());
        const bool out =
            membership == stores::Membership::kLeave || membership == stores::Membership::kBan;
        const bool member = membership == stores::Membership::kJoin;
        if (user.ok() && user->server() == own && !out)
          users.insert(member ? users.end() : users.begin(), *user);
      }));
  POLDER_TRY(const auto outsiders, stores::read_outsiders(reader.snapshot(), head->number));
  for (const stores::UserNumber number : outsiders) {
    POLDER_TRY(std::string name, api.rooms.names.name(stores::NameKind::kUser, number));
    UserId user = UserId::trusted(std::move(name));
    if (std::ranges::find(users, user) == users.end()) users.push_back(std::move(user));
  }
  return users;
}

Task<void> delete_room(const Api& api, Deletion deletion, std::vector<UserId> users, bool purge,
                       policy::Administrator actor) {
  for (UserId& user : users) {
    const Status left = co_await api.entry.leave({user, deletion.room, {}, {}, actor});
    (left.ok() ? deletion.kicked : deletion.failed_to_kick).push_back(std::move(user));
    api.deletions->update(deletion);
  }
  Status outcome;
  if (purge) {
    deletion.status = "purging";
    api.deletions->update(deletion);
    co_await api.sender.caught_up();  // other servers hear that the users left
    outcome = co_await api.upkeep.purge(deletion.room, actor);
  }
  deletion.status = outcome.ok() ? "complete" : "failed";
  if (!outcome.ok()) deletion.error = outcome.error().message;
  api.deletions->update(deletion);
  api.runtime.log().info("room_deleted", {{"room", deletion.room}, {"status", deletion.status}});
}

// Local users leave, then nothing of the room is kept. What would need a list of rooms that nobody
// may enter, or a new room, is refused.
Task<Result<Response>> begin_deletion(const Api& api, Call& call) {
  POLDER_CO_TRY(const RoomId room, RoomId::parse(call.path("roomId")));
  POLDER_CO_TRY(const bool block, call.fields().boolean_or("block", false));
  POLDER_CO_TRY(const bool purge, call.fields().boolean_or("purge", true));
  if (block || call.body.contains("new_room_user_id"))
    co_return fail(ErrorCode::kInvalid, "M_INVALID_PARAM",
                   "block and new_room_user_id are not supported: leave them out");
  POLDER_CO_TRY(auto users, co_await runtime::on_pool(
                                api.runtime, [&api, room] { return local_users(api, room); }));
  Deletion deletion{api.runtime.random().letters(kIdLetters), room, "shutting_down"};
  if (!api.deletions->begin(deletion))
    co_return fail(ErrorCode::kInvalid, "M_UNKNOWN", "The room is being deleted already");
  const std::string id = deletion.id;
  runtime::spawn(api.runtime, api.runtime.shard(api.runtime.current_shard()), "delete_room",
                 delete_room(api, std::move(deletion), std::move(users), purge,
                             policy::Administrator{call.session().user}));
  co_return ok_json({{"delete_id", id}});
}

json::Array names_of(const std::vector<UserId>& users) {
  json::Array names;
  for (const UserId& user : users)
    names.push_back(user.str());
  return names;
}

json::Object told(const Deletion& deletion) {
  json::Object object{{"delete_id", deletion.id}, {"status", deletion.status}};
  if (!deletion.error.empty()) object.set("error", deletion.error);
  object.set("shutdown_room",
             json::Object{{"kicked_users", names_of(deletion.kicked)},
                          {"failed_to_kick_users", names_of(deletion.failed_to_kick)}});
  return object;
}

Task<Result<Response>> deletions_of_room(const Api& api, Call& call) {
  POLDER_CO_TRY(const RoomId room, RoomId::parse(call.path("roomId")));
  json::Array results;
  for (const Deletion& deletion : api.deletions->of_room(room))
    results.emplace_back(told(deletion));
  if (results.empty()) co_return fail(ErrorCode::kNotFound, "No delete task for this room");
  co_return ok_json({{"results", std::move(results)}});
}

Task<Result<Response>> deletion_status(const Api& api, Call& call) {
  const auto found = api.deletions->find(call.path("deleteId"));
  if (!found) co_return fail(ErrorCode::kNotFound, "delete id not found");
  co_return ok_json(told(*found));
}

constexpr kit::Terms kAsk{.authentication = http::Authentication::kAdmin};
constexpr kit::Terms kOrder{.authentication = http::Authentication::kAdmin,
                            .body_max = kit::kSmallBody,
                            .body = http::Body::kOptional};
constexpr Operation kRoomOperations[] = {
    {"admin.purgeHistory", Method::kPost, "/_synapse/admin/v1/purge_history/{roomId}",
     purge_history, kOrder},
    {"admin.purgeHistory", Method::kPost, "/_synapse/admin/v1/purge_history/{roomId}/{eventId}",
     purge_history, kOrder},
    {"admin.purgeHistoryStatus", Method::kGet, "/_synapse/admin/v1/purge_history_status/{purgeId}",
     purge_history_status, kAsk},
    {"admin.deleteRoom", Method::kDelete, "/_synapse/admin/v2/rooms/{roomId}", begin_deletion,
     kOrder},
    {"admin.roomDeletions", Method::kGet, "/_synapse/admin/v2/rooms/{roomId}/delete_status",
     deletions_of_room, kAsk},
    {"admin.deletionStatus", Method::kGet, "/_synapse/admin/v2/rooms/delete_status/{deleteId}",
     deletion_status, kAsk},
};

}  // namespace

void add_room_routes(http::Router& router, const Api& api) {
  kit::add_operations(router, api.runtime, api, std::span<const Operation>(kRoomOperations));
}

}  // namespace polder::admin_api
