// Profiles, account data, filters.
#include "federation/client/client.h"
#include "homeserver/api/client/api.h"
#include "homeserver/api/client/membership.h"
#include "homeserver/api/client/profiles.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/rooms/model/refusals.h"
#include "homeserver/rooms/write/writer.h"
#include "homeserver/sync/classic/filter.h"
#include "homeserver/sync/classic/tokens.h"
#include "homeserver/sync/push/rules.h"

namespace polder::client_api {
namespace {

using http::Method;
using http::Response;

Status require_self(const Call& call) {
  if (call.path("userId") == call.session().user.view()) return {};
  return fail(ErrorCode::kForbidden, "You can only do this for yourself");
}

// Of a room in which the caller has, or once had, any place; 0 if the path names no room. Others
// have no account data of it, and are not told whether it exists.
Task<Result<std::optional<stores::RoomNumber>>> room_number(const Api& api, const Call& call) {
  using Number = std::optional<stores::RoomNumber>;
  if (call.path("roomId").empty()) co_return Number(0);
  POLDER_CO_TRY(const RoomId room, room_of(call));
  const stores::UserNumber user = call.session().number;
  co_return co_await runtime::on_pool(api.runtime, [&api, room, user]() -> Result<Number> {
    POLDER_TRY(const auto number, api.rooms.find(room));
    if (!number) return Number();
    POLDER_TRY(const auto row, stores::read_membership(*api.database.snapshot(), user, *number));
    return row ? Number(*number) : Number();
  });
}

// https://spec.matrix.org/v1.19/client-server-api/#client-behaviour-18 (account data): types that
// the server itself writes cannot be set.
Task<Result<Response>> put_account_data(const Api& api, Call& call) {
  POLDER_CO_CHECK(require_self(call));
  const std::string type(call.path("type"));
  if (type == users::kFullyReadType || type == stores::kPushRulesType) {
    Response response =
        http::error_response(405, "M_BAD_JSON", "Cannot set " + type + " through this API");
    co_return response;
  }
  POLDER_CO_TRY(const auto room, co_await room_number(api, call));
  if (!room) co_return rooms::not_in_room();
  POLDER_CO_CHECK(co_await api.account_data.set(call.session().number, *room, type, call.body));
  co_return empty_json();
}

Task<Result<Response>> get_account_data(const Api& api, Call& call) {
  POLDER_CO_CHECK(require_self(call));
  const bool global = call.path("roomId").empty();
  if (global && call.path("type") == stores::kPushRulesType) {
    const users::Session session = call.session();
    POLDER_CO_TRY(std::string rules, co_await runtime::on_pool(api.runtime, [&api, session] {
                    return api.push_rules.account_data(*api.database.snapshot(), session.number,
                                                       session.user);
                  }));
    co_return Response::json(200, std::move(rules));
  }
  POLDER_CO_TRY(const auto room, co_await room_number(api, call));
  if (!room) co_return fail(ErrorCode::kNotFound, "Account data not found");
  POLDER_CO_TRY(std::string content, co_await api.account_data.get(call.session().number, *room,
                                                                   std::string(call.path("type"))));
  co_return Response::json(200, std::move(content));
}

Task<Result<Response>> add_filter(const Api& api, Call& call) {
  POLDER_CO_CHECK(require_self(call));
  if (const auto parsed = sync::parse_filter(call.body); !parsed.ok())
    co_return fail(ErrorCode::kInvalid, "M_BAD_JSON", parsed.error().message);
  POLDER_CO_TRY(const std::string id,
                co_await api.account_data.add_filter(call.session().number, call.body));
  co_return ok_json({{"filter_id", id}});
}

Task<Result<Response>> get_filter(const Api& api, Call& call) {
  POLDER_CO_CHECK(require_self(call));
  POLDER_CO_TRY(std::string filter, co_await api.account_data.filter(
                                        call.session().number, std::string(call.path("filterId"))));
  co_return Response::json(200, std::move(filter));
}

// The whole profile, or one field of it.
Result<Response> profile_response(const json::Object& profile, std::string_view field) {
  if (field.empty()) return ok_json(profile);
  const json::Value* value = profile.find(field);
  if (value == nullptr) return fail(ErrorCode::kNotFound, "Profile field not found");
  return ok_json({{std::string(field), *value}});
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1queryprofile
Task<Result<Response>> get_remote_profile(const Api& api, Call& call, UserId user) {
  POLDER_CO_TRY(const ServerName server, ServerName::parse(user.server()));
  const std::string field(call.path("keyName"));
  auto profile = co_await api.federation.profile(
      server, std::move(user), field.empty() ? std::nullopt : std::optional(field));
  if (!profile.ok() && profile.error().code == ErrorCode::kNotFound)
    co_return fail(ErrorCode::kNotFound, "Profile not found");
  if (!profile.ok()) co_return profile.error();
  co_return profile_response(*profile, field);
}

Task<Result<Response>> get_profile(const Api& api, Call& call) {
  POLDER_CO_TRY(const UserId user, UserId::parse(call.path("userId")));
  if (!api.accounts.is_local(user)) co_return co_await get_remote_profile(api, call, user);
  auto account = co_await api.accounts.account(user);
  if (!account.ok() || account->deactivated)
    co_return fail(ErrorCode::kNotFound, "Profile not found");
  json::Object profile;
  if (!account->displayname.empty()) profile.set("displayname", account->displayname);
  if (!account->avatar_url.empty()) profile.set("avatar_url", account->avatar_url);
  co_return profile_response(profile, call.path("keyName"));
}

Task<Result<Response>> put_profile(const Api& api, Call& call) {
  POLDER_CO_CHECK(require_self(call));
  const std::string field(call.path("keyName"));
  POLDER_CO_CHECK(co_await api.writer.permit_act(
      {.point = policy::Point::kProfile, .type = field, .target = call.session().user.str()},
      actor_of(call.session()), call.session().user));
  if (field != "displayname" && field != "avatar_url")
    co_return fail(ErrorCode::kForbidden, "M_FORBIDDEN",
                   "Only displayname and avatar_url can be set");
  // Clients take a name or a picture away with null.
  const json::Value* value = call.body.find(field);
  std::string text;
  if (value == nullptr || !value->is_null()) {
    POLDER_CO_TRY(text, call.fields().string(field, {.bytes_max = kLargeBody}));
  }
  if (text.size() > users::kDisplayNameBytesMax)
    co_return fail(ErrorCode::kInvalid, "M_PROFILE_TOO_LARGE", "The profile would be too large");
  ProfileChange change;
  (field == "displayname" ? change.displayname : change.avatar_url) = std::move(text);
  POLDER_CO_CHECK(co_await change_profile(api, call.session(), std::move(change)));
  co_return empty_json();
}

constexpr kit::Terms kOpen{.authentication = http::Authentication::kNone};
constexpr kit::Terms kLarge{.body_max = kLargeBody};
constexpr Operation kAccountOperations[] = {
    {"setAccountData", Method::kPut, "/_matrix/client/v3/user/{userId}/account_data/{type}",
     put_account_data, kLarge},
    {"getAccountData", Method::kGet, "/_matrix/client/v3/user/{userId}/account_data/{type}",
     get_account_data},
    {"setAccountDataPerRoom", Method::kPut,
     "/_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}", put_account_data,
     kLarge},
    {"getAccountDataPerRoom", Method::kGet,
     "/_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}", get_account_data},
    {"defineFilter", Method::kPost, "/_matrix/client/v3/user/{userId}/filter", add_filter, kLarge},
    {"getFilter", Method::kGet, "/_matrix/client/v3/user/{userId}/filter/{filterId}", get_filter},
    {"getUserProfile", Method::kGet, "/_matrix/client/v3/profile/{userId}", get_profile, kOpen},
    {"getProfileField", Method::kGet, "/_matrix/client/v3/profile/{userId}/{keyName}", get_profile,
     kOpen},
    {"setProfileField", Method::kPut, "/_matrix/client/v3/profile/{userId}/{keyName}", put_profile,
     kLarge},
};

}  // namespace

void add_account_routes(http::Router& router, const Api& api) {
  add_operations(router, api, kAccountOperations);
}

}  // namespace polder::client_api
