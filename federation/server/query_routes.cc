// What other servers ask of this one's users and aliases.
// https://spec.matrix.org/v1.19/server-server-api/#querying-for-information
// https://spec.matrix.org/v1.19/server-server-api/#device-management
// https://spec.matrix.org/v1.19/server-server-api/#end-to-end-encryption
#include "federation/server/open_room.h"
#include "storage/stores/directory_rows.h"

namespace polder::federation_server {
namespace {

using http::Method;
using http::Response;

constexpr size_t kUsersMax = 1000;   // of one request
constexpr size_t kClaimsMax = 1000;  // keys of one request
constexpr size_t kServersMax = 200;  // named in one answer

// Answers are for users of this server only: what it has of others is not its to tell
// (CVE-2023-43796).
Result<UserId> local_user(const Api& api, std::string_view text) {
  POLDER_TRY(UserId user, UserId::parse(text));
  if (user.server() != api.own_name().view())
    return fail(ErrorCode::kInvalid, "The user is not one of this server");
  return user;
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1queryprofile
Task<Result<Response>> profile(Api& api, Call& call) {
  const auto text = call.query("user_id");
  if (!text) co_return fail(ErrorCode::kMissing, "user_id is missing");
  const std::optional<std::string> field(call.query("field"));
  POLDER_CO_TRY(const UserId user, local_user(api, *text));
  POLDER_CO_TRY(const auto account, co_await api.parts.users.account(user));
  if (account.deactivated) co_return fail(ErrorCode::kNotFound, "no such user");
  const bool all = !field;
  json::Object answer;
  if ((all || *field == "displayname") && !account.displayname.empty())
    answer.set("displayname", account.displayname);
  if ((all || *field == "avatar_url") && !account.avatar_url.empty())
    answer.set("avatar_url", account.avatar_url);
  if (!all && *field != "displayname" && *field != "avatar_url")
    co_return fail(ErrorCode::kNotFound, "no such field");
  co_return ok_json(answer);
}

// Servers that are in the room, this one first.
Result<json::Array> servers_in(const Api& api, const RoomId& room) {
  json::Array servers = {api.own_name().str()};
  POLDER_TRY(const auto head, api.rooms().head(room));
  if (!head || !head->servers) return servers;
  for (const auto& [number, joined] : *head->servers) {
    if (servers.size() == kServersMax) break;
    POLDER_TRY(std::string name, api.rooms().parts().names.name(stores::NameKind::kServer, number));
    if (name != api.own_name().view()) servers.emplace_back(std::move(name));
  }
  return servers;
}

Result<Response> read_directory(Api& api, const RoomAlias& alias) {
  const auto snapshot = api.parts.database.snapshot();
  POLDER_TRY(const auto row, stores::read_alias(*snapshot, alias));
  if (!row) return fail(ErrorCode::kNotFound, "Room alias not found");
  POLDER_TRY(json::Array servers, servers_in(api, row->room));
  return ok_json({{"room_id", row->room.str()}, {"servers", std::move(servers)}});
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1querydirectory
Task<Result<Response>> directory(Api& api, Call& call) {
  const auto text = call.query("room_alias");
  if (!text) co_return fail(ErrorCode::kMissing, "room_alias is missing");
  POLDER_CO_TRY(const RoomAlias alias, RoomAlias::parse(*text));
  if (alias.server() != api.own_name().view())
    co_return fail(ErrorCode::kInvalid, "The alias is not one of this server");
  co_return co_await runtime::on_pool(api.runtime(),
                                      [&api, alias] { return read_directory(api, alias); });
}

// https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysquery
Task<Result<Response>> query_keys(Api& api, Call& call) {
  const json::Object* wanted = call.body.find_object("device_keys");
  if (wanted == nullptr) co_return fail(ErrorCode::kMissing, "device_keys must be an object");
  if (wanted->size() > kUsersMax) co_return fail(ErrorCode::kTooLarge, "Too many users");
  users::WantedKeys users;
  for (const auto& [name, devices] : *wanted) {
    POLDER_CO_TRY(UserId user, local_user(api, name));
    const json::Array* list = devices.as_array();
    if (list == nullptr) co_return fail(ErrorCode::kInvalid, "The devices must be a list");
    std::vector<std::string> only;
    for (const json::Value& device : *list) {
      if (device.as_string() == nullptr)
        co_return fail(ErrorCode::kInvalid, "A device id is no string");
      only.push_back(*device.as_string());
    }
    users.emplace_back(std::move(user), std::move(only));
  }
  POLDER_CO_TRY(const json::Object answer,
                co_await api.parts.device_keys.query_for_server(std::move(users)));
  co_return ok_json(answer);
}

// https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysclaim
Task<Result<Response>> claim_keys(Api& api, Call& call) {
  const json::Object* wanted = call.body.find_object("one_time_keys");
  if (wanted == nullptr) co_return fail(ErrorCode::kMissing, "one_time_keys must be an object");
  std::vector<std::tuple<UserId, DeviceId, std::string>> keys;
  for (const auto& [name, devices] : *wanted) {
    POLDER_CO_TRY(const UserId user, local_user(api, name));
    if (devices.as_object() == nullptr)
      co_return fail(ErrorCode::kInvalid, "The devices must be an object");
    for (const auto& [device_name, algorithm] : *devices.as_object()) {
      POLDER_CO_TRY(const DeviceId device, DeviceId::parse(device_name));
      if (algorithm.as_string() == nullptr)
        co_return fail(ErrorCode::kInvalid, "An algorithm is no string");
      keys.emplace_back(user, device, *algorithm.as_string());
    }
  }
  if (keys.size() > kClaimsMax) co_return fail(ErrorCode::kTooLarge, "Too many keys");
  POLDER_CO_TRY(json::Object claimed, co_await api.parts.device_keys.claim(std::move(keys)));
  co_return ok_json({{"one_time_keys", std::move(claimed)}});
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1userdevicesuserid
Task<Result<Response>> user_devices(Api& api, Call& call) {
  POLDER_CO_TRY(const UserId user, local_user(api, call.path("userId")));
  POLDER_CO_CHECK(co_await api.parts.users.account(user));
  POLDER_CO_TRY(const json::Object answer, co_await api.parts.device_keys.devices_for_server(user));
  co_return ok_json(answer);
}

}  // namespace

void add_query_routes(http::Router& router, Api& api) {
  const auto get = [&](std::string_view path, Action action) {
    add_route(router, api, {Method::kGet, path}, std::move(action));
  };
  const auto post = [&](std::string_view path, Action action) {
    add_route(router, api, {Method::kPost, path, kEventBody}, std::move(action));
  };
  get("/_matrix/federation/v1/query/profile", profile);
  get("/_matrix/federation/v1/query/directory", directory);
  get("/_matrix/federation/v1/user/devices/{userId}", user_devices);
  post("/_matrix/federation/v1/user/keys/query", query_keys);
  post("/_matrix/federation/v1/user/keys/claim", claim_keys);
}

}  // namespace polder::federation_server
