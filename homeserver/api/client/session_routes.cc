// https://spec.matrix.org/v1.19/client-server-api/#legacy-api: login, registration, devices.
#include <deque>
#include <mutex>

#include "homeserver/api/client/api.h"
#include "homeserver/api/client/departure.h"
#include "homeserver/api/client/interactive_auth.h"
#include "homeserver/base/crypto/hash.h"
#include "homeserver/base/values/bytes.h"

namespace polder::client_api {
namespace {

using http::Authentication;
using http::Method;
using http::RateClass;
using http::Response;

constexpr size_t kDevicesAtOnceMax = 1000;
constexpr size_t kNoncesMax = 1000;  // of registrations with the shared secret, under way

Result<std::string> required(const json::Object& body, std::string_view key) {
  if (!body.contains(key))
    return matrix_error(ErrorCode::kInvalid, "M_MISSING_PARAM",
                        std::string("Missing parameter: ").append(key));
  const std::string* text = body.find_string(key);
  if (text == nullptr)
    return matrix_error(ErrorCode::kInvalid, "M_BAD_JSON",
                        std::string(key).append(" must be a string"));
  return *text;
}

Result<users::NewSession> new_session(const json::Object& body) {
  users::NewSession session;
  if (const std::string* device = body.find_string("device_id")) {
    POLDER_TRY(session.device, DeviceId::parse(*device));
  }
  if (const std::string* name = body.find_string("initial_device_display_name"))
    session.display_name = *name;
  return session;
}

Task<Result<Response>> logged_in(const Api& api, UserId user, users::NewSession wanted) {
  POLDER_CO_TRY(const users::SessionToken made,
                co_await api.users.log_in(std::move(user), std::move(wanted)));
  co_return ok_json({{"user_id", made.session.user.str()},
                     {"access_token", made.access_token},
                     {"device_id", made.session.device.str()},
                     {"home_server", api.users.parts().own_name.str()}});
}

Task<Result<Response>> login_flows(const Api&, Call&) {
  co_return ok_json({{"flows", json::Array(1, json::object({{"type", "m.login.password"}}))}});
}

// The user that a login names: a full id of this server, or a localpart.
Result<UserId> login_user(const Api& api, const json::Object& body) {
  std::string name;
  if (const json::Object* identifier = body.find_object("identifier")) {
    const std::string* type = identifier->find_string("type");
    if (type == nullptr || *type != "m.id.user")
      return matrix_error(ErrorCode::kInvalid, "M_UNKNOWN", "Unknown login identifier");
    POLDER_TRY(name, required(*identifier, "user"));
  } else {
    POLDER_TRY(name, required(body, "user"));
  }
  const ServerName& own = api.users.parts().own_name;
  // Localparts are lower case, as are server names; people's keyboards are not.
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  auto user =
      name.starts_with('@') ? UserId::parse(name) : UserId::parse("@" + name + ":" + own.str());
  if (!user.ok() || user->server() != own.view())
    return fail(ErrorCode::kForbidden, "Invalid username or password");
  return user;
}

Task<Result<Response>> login(const Api& api, Call& call) {
  POLDER_CO_TRY(const std::string type, required(call.body, "type"));
  if (type != "m.login.password")
    co_return matrix_error(ErrorCode::kInvalid, "M_UNKNOWN", "Unknown login type");
  POLDER_CO_TRY(const UserId named, login_user(api, call.body));
  POLDER_CO_TRY(const std::string password, required(call.body, "password"));
  POLDER_CO_TRY(auto session, new_session(call.body));
  POLDER_CO_TRY(auto tried_too_often, co_await check_password(api, named, password));
  if (tried_too_often) co_return *std::move(tried_too_often);
  const auto wait = api.rate_limits.take(http::RateClass::kLoginAccount,
                                         {http::Principal::Kind::kAccount, named.view()});
  if (wait) co_return http::limited(*wait);
  co_return co_await logged_in(api, named, std::move(session));
}

Task<Result<Response>> logout(const Api& api, Call& call) {
  POLDER_CO_CHECK(co_await api.users.log_out(call.session()));
  tell_of_devices(api, call.session().number);
  co_return empty_json();
}

Task<Result<Response>> logout_all(const Api& api, Call& call) {
  POLDER_CO_CHECK(co_await api.users.log_out_everywhere(call.session().user));
  tell_of_devices(api, call.session().number);
  co_return empty_json();
}

Task<Result<Response>> whoami(const Api&, Call& call) {
  co_return ok_json({{"user_id", call.session().user.str()},
                     {"device_id", call.session().device.str()},
                     {"is_guest", call.session().guest}});
}

Error registration_error(const Error& error) {
  if (error.code == ErrorCode::kExists)
    return matrix_error(ErrorCode::kInvalid, "M_USER_IN_USE", "User ID already taken");
  if (error.code == ErrorCode::kInvalid)
    return matrix_error(ErrorCode::kInvalid, "M_INVALID_USERNAME", error.message);
  return error;
}

Task<Result<Response>> finish_registration(const Api& api, json::Object body,
                                           users::NewAccount account) {
  auto session = new_session(body);
  if (!session.ok()) co_return std::move(session).error();
  auto user = co_await api.users.register_user(std::move(account));
  if (!user.ok()) co_return registration_error(user.error());
  if (body.find_bool("inhibit_login").value_or(false))
    co_return ok_json({{"user_id", user->str()}});
  co_return co_await logged_in(api, *user, *std::move(session));
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register
Task<Result<Response>> register_user(const Api& api, Call& call) {
  const bool guest = call.query("kind") == "guest";
  if (guest ? !api.settings.guests_allowed : !api.settings.registration_enabled) {
    co_return fail(ErrorCode::kForbidden, "Registration is disabled");
  }
  users::NewAccount account;
  account.guest = guest;
  if (const std::string* name = call.body.find_string("username")) account.localpart = *name;
  if (const std::string* password = call.body.find_string("password")) account.password = *password;
  if (guest) co_return co_await finish_registration(api, call.body, std::move(account));
  const json::Object* auth = call.body.find_object("auth");
  const std::string* stage = auth != nullptr ? auth->find_string("type") : nullptr;
  if (stage == nullptr || *stage != "m.login.dummy") {
    if (!account.localpart.empty()) {
      const Status available = co_await api.users.check_available(account.localpart);
      if (!available.ok()) co_return registration_error(available.error());
    }
    // User-interactive authentication: the one stage that is asked for.
    const json::Object flow{{"stages", json::Array(1, "m.login.dummy")}};
    Response response = ok_json({{"flows", json::Array(1, flow)},
                                 {"params", json::Object()},
                                 {"session", api.runtime.random().letters(24)}});
    response.status = 401;
    co_return response;
  }
  co_return co_await finish_registration(api, call.body, std::move(account));
}

Task<Result<Response>> register_available(const Api& api, Call& call) {
  const Status available =
      co_await api.users.check_available(std::string(call.query("username").value_or("")));
  if (!available.ok()) co_return registration_error(available.error());
  co_return ok_json({{"available", true}});
}

// Synapse's registration with a shared secret, which tools use: a nonce, then an HMAC over it.
class SharedSecretRegistration {
 public:
  Task<Result<Response>> nonce(const Api& api, Call&) {
    if (api.settings.registration_secret.empty())
      co_return fail(ErrorCode::kForbidden, "Shared secret registration is not enabled");
    const std::string made = base::hex_encode(as_bytes(api.runtime.random().bytes(32)));
    const std::lock_guard lock(mutex_);
    nonces_.push_back(made);
    if (nonces_.size() > kNoncesMax) nonces_.pop_front();
    co_return ok_json({{"nonce", made}});
  }

  Task<Result<Response>> use(const Api& api, Call& call) {
    if (api.settings.registration_secret.empty())
      co_return fail(ErrorCode::kForbidden, "Shared secret registration is not enabled");
    POLDER_CO_TRY(const std::string nonce, required(call.body, "nonce"));
    POLDER_CO_TRY(const std::string name, required(call.body, "username"));
    POLDER_CO_TRY(const std::string password, required(call.body, "password"));
    POLDER_CO_TRY(const std::string mac, required(call.body, "mac"));
    if (!take(nonce))
      co_return matrix_error(ErrorCode::kInvalid, "M_UNKNOWN", "unrecognised nonce");
    const bool admin = call.body.find_bool("admin").value_or(false);
    std::string signed_text =
        nonce + '\0' + name + '\0' + password + '\0' + (admin ? "admin" : "notadmin");
    if (const std::string* type = call.body.find_string("user_type")) signed_text += '\0' + *type;
    if (!base::equal_in_constant_time(
            crypto::hmac_sha1_hex(api.settings.registration_secret, signed_text), mac)) {
      co_return fail(ErrorCode::kForbidden, "HMAC incorrect");
    }
    users::NewAccount account;
    account.localpart = name;
    account.password = password;
    account.admin = admin;
    co_return co_await finish_registration(api, call.body, std::move(account));
  }

 private:
  bool take(const std::string& nonce) {
    const std::lock_guard lock(mutex_);
    return std::erase(nonces_, nonce) > 0;
  }

  std::mutex mutex_;
  std::deque<std::string> nonces_;  // under mutex_
};

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
  POLDER_CO_TRY(const auto devices, co_await api.users.devices(call.session().user));
  json::Array list;
  for (const auto& [id, row] : devices)
    list.push_back(device_json(id, row));
  co_return ok_json({{"devices", list}});
}

Task<Result<Response>> get_device(const Api& api, Call& call) {
  POLDER_CO_TRY(const auto devices, co_await api.users.devices(call.session().user));
  for (const auto& [id, row] : devices) {
    if (id.view() == call.path("deviceId")) co_return ok_json(device_json(id, row));
  }
  co_return fail(ErrorCode::kNotFound, "No such device");
}

Task<Result<Response>> put_device(const Api& api, Call& call) {
  POLDER_CO_TRY(const DeviceId device, DeviceId::parse(call.path("deviceId")));
  const std::string* name = call.body.find_string("display_name");
  POLDER_CO_CHECK(
      co_await api.users.rename_device(call.session().user, device, name != nullptr ? *name : ""));
  tell_of_devices(api, call.session().number);
  co_return empty_json();
}

Task<Result<Response>> delete_device(const Api& api, Call& call) {
  POLDER_CO_TRY(auto challenge, co_await confirm_password(api, call));
  if (challenge) co_return *std::move(challenge);
  POLDER_CO_TRY(const DeviceId device, DeviceId::parse(call.path("deviceId")));
  std::vector<DeviceId> one(1, device);
  POLDER_CO_CHECK(co_await api.users.delete_devices(call.session().user, std::move(one)));
  tell_of_devices(api, call.session().number);
  co_return empty_json();
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3delete_devices
Task<Result<Response>> delete_devices(const Api& api, Call& call) {
  const json::Array* named = call.body.find_array("devices");
  if (named == nullptr || named->size() > kDevicesAtOnceMax)
    co_return matrix_error(ErrorCode::kInvalid, "M_BAD_JSON", "devices must be a list of ids");
  std::vector<DeviceId> devices;
  for (const json::Value& name : *named) {
    if (name.as_string() == nullptr)
      co_return matrix_error(ErrorCode::kInvalid, "M_BAD_JSON", "A device id must be a string");
    POLDER_CO_TRY(DeviceId device, DeviceId::parse(*name.as_string()));
    devices.push_back(std::move(device));
  }
  POLDER_CO_TRY(auto challenge, co_await confirm_password(api, call));
  if (challenge) co_return *std::move(challenge);
  POLDER_CO_CHECK(co_await api.users.delete_devices(call.session().user, std::move(devices)));
  tell_of_devices(api, call.session().number);
  co_return empty_json();
}

Task<Result<Response>> change_password(const Api& api, Call& call) {
  POLDER_CO_TRY(auto challenge, co_await confirm_password(api, call));
  if (challenge) co_return *std::move(challenge);
  POLDER_CO_TRY(const std::string password, required(call.body, "new_password"));
  POLDER_CO_CHECK(co_await api.users.set_password(call.session().user, password));
  if (call.body.find_bool("logout_devices").value_or(true)) {
    POLDER_CO_CHECK(
        co_await api.users.log_out_everywhere(call.session().user, call.session().device));
    tell_of_devices(api, call.session().number);
  }
  co_return empty_json();
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate
Task<Result<Response>> deactivate(const Api& api, Call& call) {
  POLDER_CO_TRY(auto challenge, co_await confirm_password(api, call));
  if (challenge) co_return *std::move(challenge);
  const json::Value* erase = call.body.find("erase");
  if (erase != nullptr && !call.body.find_bool("erase"))
    co_return matrix_error(ErrorCode::kInvalid, "M_BAD_JSON", "erase must be true or false");
  POLDER_CO_CHECK(co_await api.users.deactivate(call.session().user,
                                                call.body.find_bool("erase").value_or(false)));
  tell_of_devices(api, call.session().number);
  runtime::spawn(api.runtime, api.runtime.shard(api.runtime.current_shard()), "departure",
                 leave_rooms_of_deactivated(api));
  co_return ok_json({{"id_server_unbind_result", "no-support"}});
}

}  // namespace

void add_session_routes(http::Router& router, const Api& api) {
  constexpr auto kNone = Authentication::kNone;
  add_route(router, api, {Method::kGet, "/_matrix/client/v3/login", kNone}, login_flows);
  add_route(router, api,
            {Method::kPost, "/_matrix/client/v3/login", kNone, RateClass::kLogin, kSmallBody},
            login);
  add_route(router, api,
            {Method::kPost, "/_matrix/client/v3/logout", Authentication::kAccessToken,
             RateClass::kCheap, kSmallBody},
            logout);
  add_route(router, api,
            {Method::kPost, "/_matrix/client/v3/logout/all", Authentication::kAccessToken,
             RateClass::kCheap, kSmallBody},
            logout_all);
  add_route(router, api, {Method::kGet, "/_matrix/client/v3/account/whoami"}, whoami);
  add_route(router, api,
            {Method::kPost, "/_matrix/client/v3/account/password", Authentication::kAccessToken,
             RateClass::kLogin, kSmallBody},
            change_password);
  add_route(router, api,
            {Method::kPost, "/_matrix/client/v3/account/deactivate", Authentication::kAccessToken,
             RateClass::kLogin, kSmallBody},
            deactivate);
  add_route(
      router, api,
      {Method::kPost, "/_matrix/client/v3/register", kNone, RateClass::kRegistration, kSmallBody},
      register_user);
  add_route(
      router, api,
      {Method::kGet, "/_matrix/client/v3/register/available", kNone, RateClass::kRegistration},
      register_available);
  const auto secret = std::make_shared<SharedSecretRegistration>();
  add_route(router, api, {Method::kGet, "/_synapse/admin/v1/register", kNone, RateClass::kCheap},
            [secret](const Api& a, Call& c) { return secret->nonce(a, c); });
  add_route(router, api,
            {Method::kPost, "/_synapse/admin/v1/register", kNone, RateClass::kCheap, kSmallBody},
            [secret](const Api& a, Call& c) { return secret->use(a, c); });
  add_route(router, api, {Method::kGet, "/_matrix/client/v3/devices"}, list_devices);
  add_route(router, api, {Method::kGet, "/_matrix/client/v3/devices/{deviceId}"}, get_device);
  add_route(router, api,
            {Method::kPut, "/_matrix/client/v3/devices/{deviceId}", Authentication::kAccessToken,
             RateClass::kCheap, kSmallBody},
            put_device);
  add_route(router, api,
            {Method::kDelete, "/_matrix/client/v3/devices/{deviceId}", Authentication::kAccessToken,
             RateClass::kCheap, kSmallBody},
            delete_device);
  add_route(router, api,
            {Method::kPost, "/_matrix/client/v3/delete_devices", Authentication::kAccessToken,
             RateClass::kCheap, kSmallBody},
            delete_devices);
}

}  // namespace polder::client_api
