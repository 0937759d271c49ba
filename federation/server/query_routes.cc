// What other servers ask of this one's users and aliases.
// https://spec.matrix.org/v1.19/server-server-api/#querying-for-information
// https://spec.matrix.org/v1.19/server-server-api/#device-management
// https://spec.matrix.org/v1.19/server-server-api/#end-to-end-encryption
#include "federation/server/open_room.h"
#include "homeserver/api/kit/key_pieces.h"
#include "storage/stores/rooms/directory_rows.h"

namespace polder::federation_server {
namespace {

using http::Method;
using http::Response;

constexpr const char* kKeysPath = "/_matrix/federation/v1/user/keys/query";
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
  POLDER_CO_TRY(const auto text, call.query().text("user_id"));
  const std::optional<std::string> field(call.query("field"));
  POLDER_CO_TRY(const UserId user, local_user(api, text));
  POLDER_CO_TRY(const auto account, co_await api.parts.accounts.account(user));
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
    POLDER_TRY(std::string name, api.rooms().names.name(stores::NameKind::kServer, number));
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
  POLDER_CO_TRY(const auto text, call.query().text("room_alias"));
  POLDER_CO_TRY(const RoomAlias alias, RoomAlias::parse(text));
  if (alias.server() != api.own_name().view())
    co_return fail(ErrorCode::kInvalid, "The alias is not one of this server");
  co_return co_await runtime::on_pool(api.runtime(),
                                      [&api, alias] { return read_directory(api, alias); });
}

// https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysquery
Task<Result<Response>> query_keys(Api& api, Call& call) {
  POLDER_CO_TRY(const json::Object* wanted, call.fields().object("device_keys", {kUsersMax}));
  users::WantedKeys users;
  for (const auto& [name, devices] : *wanted) {
    POLDER_CO_TRY(UserId user, local_user(api, name));
    POLDER_CO_TRY(auto only, json::read_strings(devices, "the devices of a user"));
    users.emplace_back(std::move(user), std::move(only));
  }
  kit::KeyPieces pieces;
  pieces.wanted = std::move(users);
  pieces.read = [&api](users::WantedKeys some) {
    return api.parts.device_keys.query_for_server(std::move(some));
  };
  co_return co_await kit::keys_in_pieces(api.runtime(), kKeysPath, std::move(pieces));
}

// https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysclaim
Task<Result<Response>> claim_keys(Api& api, Call& call) {
  POLDER_CO_TRY(const json::Object* wanted, call.fields().object("one_time_keys", {kClaimsMax}));
  std::vector<std::tuple<UserId, DeviceId, std::string>> keys;
  for (const auto& [name, devices] : *wanted) {
    POLDER_CO_TRY(const UserId user, local_user(api, name));
    POLDER_CO_TRY(const json::Object* of_user, json::read_object(devices, "the devices of a user"));
    for (const auto& [device_name, algorithm] : *of_user) {
      POLDER_CO_TRY(const DeviceId device, DeviceId::parse(device_name));
      POLDER_CO_TRY(std::string name_of_algorithm, json::read_string(algorithm, "an algorithm"));
      keys.emplace_back(user, device, std::move(name_of_algorithm));
    }
  }
  if (keys.size() > kClaimsMax) co_return fail(ErrorCode::kTooLarge, "Too many keys");
  POLDER_CO_TRY(json::Object claimed, co_await api.parts.device_keys.claim(std::move(keys)));
  co_return ok_json({{"one_time_keys", std::move(claimed)}});
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1userdevicesuserid
Task<Result<Response>> user_devices(Api& api, Call& call) {
  POLDER_CO_TRY(const UserId user, local_user(api, call.path("userId")));
  POLDER_CO_CHECK(co_await api.parts.accounts.account(user));
  POLDER_CO_TRY(const json::Object answer, co_await api.parts.device_keys.devices_for_server(user));
  co_return ok_json(answer);
}

constexpr Operation kQueryOperations[] = {
    {"queryProfile", Method::kGet, "/_matrix/federation/v1/query/profile", profile,
     signed_by_server()},
    {"queryRoomDirectory", Method::kGet, "/_matrix/federation/v1/query/directory", directory,
     signed_by_server()},
    {"getUserDevices", Method::kGet, "/_matrix/federation/v1/user/devices/{userId}", user_devices,
     signed_by_server()},
    {"queryUserEncryptionKeys", Method::kPost, kKeysPath, query_keys, signed_by_server(kEventBody)},
    {"claimUserEncryptionKeys", Method::kPost, "/_matrix/federation/v1/user/keys/claim", claim_keys,
     signed_by_server(kEventBody)},
};

}  // namespace

void add_query_routes(http::Router& router, Api& api) {
  add_operations(router, api, kQueryOperations);
}

}  // namespace polder::federation_server
