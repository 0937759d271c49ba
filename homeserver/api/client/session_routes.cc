// https://spec.matrix.org/v1.19/client-server-api/#legacy-api: login, passwords, devices.
#include "homeserver/api/client/api.h"
#include "homeserver/api/client/departure.h"
#include "homeserver/api/client/interactive_auth.h"
#include "homeserver/api/client/login.h"
#include "homeserver/api/client/membership.h"
#include "homeserver/rooms/write/writer.h"
#include "homeserver/users/authentication/identifier.h"

namespace polder::client_api {
namespace {

using http::Method;
using http::RateClass;
using http::Response;

constexpr size_t kDevicesAtOnceMax = 1000;

Task<Result<Response>> login_flows(const Api&, Call&) {
  co_return ok_json({{"flows", json::Array(1, json::object({{"type", "m.login.password"}}))}});
}

Task<Result<Response>> login(const Api& api, Call& call) {
  POLDER_CO_TRY(const std::string type, call.fields().string("type"));
  if (type != "m.login.password")
    co_return fail(ErrorCode::kInvalid, "M_UNKNOWN", "Unknown login type");
  POLDER_CO_TRY(const UserId named,
                users::read_identifier(call.body, api.accounts.parts().own_name));
  POLDER_CO_TRY(const std::string password, call.fields().string("password"));
  POLDER_CO_CHECK(call.fields().boolean_or("refresh_token", false));
  POLDER_CO_TRY(auto session, read_new_session(call));
  users::Credential credential{type, named, password};
  POLDER_CO_TRY(auto proof, co_await api.identities.check(std::move(credential)));
  POLDER_CO_CHECK(
      co_await api.writer.permit_act({.point = policy::Point::kLogin, .target = proof.user.str()},
                                     policy::Client{proof.user, {}}, proof.user));
  session.password_hash = proof.password_hash;
  const auto wait = api.rate_limits.take(http::RateClass::kLoginAccount,
                                         {http::Principal::Kind::kAccount, proof.user.view()});
  if (wait) co_return http::limited(*wait);
  POLDER_CO_TRY(const json::Object begun,
                co_await begin_session(api, proof.user, std::move(session)));
  co_return ok_json(begun);
}

Task<Result<Response>> logout(const Api& api, Call& call) {
  POLDER_CO_CHECK(co_await api.sessions.log_out(call.session()));
  co_return empty_json();
}

Task<Result<Response>> logout_all(const Api& api, Call& call) {
  POLDER_CO_CHECK(co_await api.sessions.log_out_everywhere(call.session().user));
  co_return empty_json();
}

Task<Result<Response>> whoami(const Api&, Call& call) {
  co_return ok_json({{"user_id", call.session().user.str()},
                     {"device_id", call.session().device.str()},
                     {"is_guest", call.session().guest}});
}

json::Object device_json(const DeviceId& id, const stores::DeviceRow& row) {
  json::Object device{{"device_id", id.str()}};
  if (!row.display_name.empty()) device.set("display_name", row.display_name);
  if (row.last_seen_ms != 0) {
    device.set("last_seen_ts", row.last_seen_ms);
    device.set("last_seen_ip", row.last_seen_ip);
  }
  return device;
}

Task<Result<Response>> list_devices(const Api& api, Call& call) {
  POLDER_CO_TRY(const auto devices, co_await api.sessions.devices(call.session().user));
  json::Array list;
  for (const auto& [id, row] : devices)
    list.push_back(device_json(id, row));
  co_return ok_json({{"devices", list}});
}

Task<Result<stores::DeviceRow>> find_device(const Api& api, UserId user, DeviceId device) {
  POLDER_CO_TRY(const auto devices, co_await api.sessions.devices(std::move(user)));
  for (const auto& [id, row] : devices) {
    if (id == device) co_return row;
  }
  co_return fail(ErrorCode::kNotFound, "No such device");
}

Task<Result<Response>> get_device(const Api& api, Call& call) {
  POLDER_CO_TRY(const DeviceId device, DeviceId::parse(call.path("deviceId")));
  POLDER_CO_TRY(const auto row, co_await find_device(api, call.session().user, device));
  co_return ok_json(device_json(device, row));
}

// https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3devicesdeviceid: "If not
// given, the display name is unchanged."
Task<Result<Response>> put_device(const Api& api, Call& call) {
  POLDER_CO_TRY(const DeviceId device, DeviceId::parse(call.path("deviceId")));
  POLDER_CO_TRY(auto name, call.fields().optional_string("display_name", kDeviceNames));
  if (!name) {
    POLDER_CO_CHECK(co_await find_device(api, call.session().user, device));
    co_return empty_json();
  }
  POLDER_CO_CHECK(
      co_await api.sessions.rename_device(call.session().user, device, *std::move(name)));
  co_return empty_json();
}

Task<Result<json::Object>> remove_devices(const Api& api, UserId user,
                                          std::vector<DeviceId> devices) {
  POLDER_CO_CHECK(co_await api.sessions.delete_devices(std::move(user), std::move(devices)));
  co_return json::Object();
}

// What is carried out once the caller has confirmed it.
users::InteractiveAuthentication::CarryOut removing(const Api& api, const Call& call,
                                                    std::vector<DeviceId> devices) {
  return [&api, user = call.session().user, devices = std::move(devices)] {
    return remove_devices(api, user, devices);
  };
}

Task<Result<Response>> delete_device(const Api& api, Call& call) {
  POLDER_CO_TRY(auto confirmation, read_confirmation(api, call));
  POLDER_CO_TRY(const DeviceId device, DeviceId::parse(call.path("deviceId")));
  std::vector<DeviceId> one(1, device);
  auto carry_out = removing(api, call, std::move(one));
  co_return co_await confirmed(api, call, std::move(confirmation), std::move(carry_out));
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3delete_devices
Task<Result<Response>> delete_devices(const Api& api, Call& call) {
  POLDER_CO_TRY(auto confirmation, read_confirmation(api, call));
  POLDER_CO_TRY(const auto named,
                call.fields().strings("devices", {.count_max = kDevicesAtOnceMax}));
  std::vector<DeviceId> devices;
  for (const std::string& name : named) {
    POLDER_CO_TRY(DeviceId device, DeviceId::parse(name));
    devices.push_back(std::move(device));
  }
  auto carry_out = removing(api, call, std::move(devices));
  co_return co_await confirmed(api, call, std::move(confirmation), std::move(carry_out));
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3adminwhoisuserid: "may be
// called by any user to gather information about their own sessions", of others by administrators.
Task<Result<Response>> whois(const Api& api, Call& call) {
  POLDER_CO_TRY(const UserId user, UserId::parse(call.path("userId")));
  if (user != call.session().user && !call.session().admin)
    co_return fail(ErrorCode::kForbidden, "You are not a server admin");
  POLDER_CO_CHECK(co_await api.accounts.account(user));
  POLDER_CO_TRY(const auto devices, co_await api.sessions.devices(user));
  json::Object by_device;
  for (const auto& [id, row] : devices) {
    json::Array connections;
    if (row.last_seen_ms != 0)
      connections.push_back(
          json::object({{"ip", row.last_seen_ip}, {"last_seen", row.last_seen_ms}}));
    json::Array sessions(1, json::object({{"connections", std::move(connections)}}));
    by_device.set(id.str(), json::object({{"sessions", std::move(sessions)}}));
  }
  co_return ok_json({{"user_id", user.str()}, {"devices", std::move(by_device)}});
}

// What the caller does to their own account.
Task<Status> permit_own(const Api& api, users::Session session, policy::Point point) {
  const policy::Act act{.point = point, .target = session.user.str()};
  co_return co_await api.writer.permit_act(act, actor_of(session), session.user);
}

// If `logs_out`, the sessions of all other devices end.
Task<Result<json::Object>> set_password(const Api& api, users::Session session,
                                        std::optional<std::string> password, bool logs_out) {
  if (!password) co_return fail(ErrorCode::kMissing, "new_password is missing");
  POLDER_CO_CHECK(co_await permit_own(api, session, policy::Point::kPassword));
  POLDER_CO_CHECK(co_await api.accounts.set_password(
      session.user, *std::move(password), logs_out ? std::optional(session.device) : std::nullopt));
  co_return json::Object();
}

Task<Result<Response>> change_password(const Api& api, Call& call) {
  POLDER_CO_TRY(auto confirmation, read_confirmation(api, call, true));
  POLDER_CO_TRY(const bool logs_out, call.fields().boolean_or("logout_devices", true));
  POLDER_CO_TRY(const auto password, call.fields().optional_string("new_password", kNewPasswords));
  auto carry_out = [&api, session = call.session(), password, logs_out] {
    return set_password(api, session, password, logs_out);
  };
  co_return co_await confirmed(api, call, std::move(confirmation), std::move(carry_out));
}

Task<Result<json::Object>> end_account(const Api& api, users::Session session, bool erase) {
  POLDER_CO_CHECK(co_await permit_own(api, session, policy::Point::kDeactivate));
  POLDER_CO_CHECK(co_await api.accounts.deactivate(session.user, erase));
  runtime::spawn(api.runtime, api.runtime.shard(api.runtime.current_shard()), "departure",
                 leave_rooms_of_deactivated(api));
  co_return json::Object{{"id_server_unbind_result", "no-support"}};
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate
Task<Result<Response>> deactivate(const Api& api, Call& call) {
  POLDER_CO_TRY(auto confirmation, read_confirmation(api, call));
  POLDER_CO_TRY(const bool erase, call.fields().boolean_or("erase", false));
  POLDER_CO_CHECK(call.fields().optional_string("id_server"));
  auto carry_out = [&api, session = call.session(), erase] {
    return end_account(api, session, erase);
  };
  co_return co_await confirmed(api, call, std::move(confirmation), std::move(carry_out));
}

using http::Authentication;
constexpr kit::Terms kOpen{.authentication = Authentication::kNone};
constexpr kit::Terms kLogin{
    .authentication = Authentication::kNone, .rate = RateClass::kLogin, .body_max = kSmallBody};
constexpr kit::Terms kAccount{.rate = RateClass::kLogin, .body_max = kSmallBody};
constexpr kit::Terms kBody{.body_max = kSmallBody};
constexpr kit::Terms kBodyOrNone{.body_max = kSmallBody, .body = http::Body::kOptional};
constexpr Operation kSessionOperations[] = {
    {"getLoginFlows", Method::kGet, "/_matrix/client/v3/login", login_flows, kOpen},
    {"login", Method::kPost, "/_matrix/client/v3/login", login, kLogin},
    {"logout", Method::kPost, "/_matrix/client/v3/logout", logout},
    {"logout_all", Method::kPost, "/_matrix/client/v3/logout/all", logout_all},
    {"getTokenOwner", Method::kGet, "/_matrix/client/v3/account/whoami", whoami},
    {"changePassword", Method::kPost, "/_matrix/client/v3/account/password", change_password,
     kAccount},
    {"deactivateAccount", Method::kPost, "/_matrix/client/v3/account/deactivate", deactivate,
     kAccount},
    {"getWhoIs", Method::kGet, "/_matrix/client/v3/admin/whois/{userId}", whois},
    {"getDevices", Method::kGet, "/_matrix/client/v3/devices", list_devices},
    {"getDevice", Method::kGet, "/_matrix/client/v3/devices/{deviceId}", get_device},
    {"updateDevice", Method::kPut, "/_matrix/client/v3/devices/{deviceId}", put_device, kBody},
    {"deleteDevice", Method::kDelete, "/_matrix/client/v3/devices/{deviceId}", delete_device,
     kBodyOrNone},
    {"deleteDevices", Method::kPost, "/_matrix/client/v3/delete_devices", delete_devices, kBody},
};

}  // namespace

void add_session_routes(http::Router& router, const Api& api) {
  add_operations(router, api, kSessionOperations);
}

}  // namespace polder::client_api
