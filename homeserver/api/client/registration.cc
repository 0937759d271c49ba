#include "homeserver/api/client/registration.h"

#include "homeserver/api/client/exclusive.h"
#include "homeserver/api/client/interactive_auth.h"
#include "homeserver/api/client/login.h"
#include "homeserver/base/values/bytes.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::client_api {
namespace {

using http::Response;

// What a request says of the account that is wanted.
Result<json::Object> read_wanted(const json::Reader& in) {
  json::Object wanted;
  POLDER_TRY(const auto username, in.optional_string("username"));
  if (username) wanted.set("username", *username);
  POLDER_TRY(const auto device, in.optional_string("device_id"));
  if (device) {
    POLDER_CHECK(DeviceId::parse(*device));
    wanted.set("device_id", *device);
  }
  POLDER_TRY(const auto name, in.optional_string("initial_device_display_name", kDeviceNames));
  if (name) wanted.set("initial_device_display_name", *name);
  POLDER_TRY(const auto inhibit_login, in.optional_boolean("inhibit_login"));
  if (inhibit_login) wanted.set("inhibit_login", *inhibit_login);
  POLDER_CHECK(in.boolean_or("refresh_token", false));
  return wanted;
}

// The same with the password, of which only the hash is kept (CVE-2023-41335).
Task<Result<json::Object>> read_account(const Api& api, const Call& call) {
  POLDER_CO_TRY(json::Object wanted, read_wanted(call.fields()));
  POLDER_CO_TRY(auto password, call.fields().optional_string("password"));
  if (!password) co_return wanted;
  if (password->empty())
    co_return fail(ErrorCode::kInvalid, "M_WEAK_PASSWORD", "The password is empty");
  POLDER_CO_TRY(std::string hash, co_await api.accounts.hash_password(*std::move(password)));
  wanted.set("password_hash", std::move(hash));
  co_return wanted;
}

Task<Result<json::Object>> make_account(const Api& api, json::Object wanted, bool guest,
                                        std::string address) {
  const json::Reader in(wanted);
  users::NewAccount account;
  POLDER_CO_TRY(std::string username, in.string_or("username", ""));
  POLDER_CO_TRY(account.localpart, new_localpart(api, std::move(username)));
  POLDER_CO_TRY(account.password_hash, in.optional_string("password_hash"));
  account.guest = guest;
  users::NewSession session;
  POLDER_CO_TRY(const auto device, in.optional_string("device_id"));
  if (device) {
    POLDER_CO_TRY(session.device, DeviceId::parse(*device));
  }
  POLDER_CO_TRY(session.display_name, in.string_or("initial_device_display_name", ""));
  session.address = std::move(address);
  POLDER_CO_TRY(const bool inhibit_login, in.boolean_or("inhibit_login", false));
  const auto user = co_await api.accounts.register_user(std::move(account));
  if (!user.ok()) co_return registration_error(user.error());
  if (inhibit_login) co_return json::Object{{"user_id", user->str()}};
  co_return co_await begin_session(api, *user, std::move(session));
}

// "All parameters in the request body with the exception of initial_device_display_name MUST BE
// ignored by the server."
Task<Result<Response>> register_guest(const Api& api, const Call& call) {
  POLDER_CO_CHECK(may_register(api, api.settings->guests_allowed));
  POLDER_CO_TRY(const auto name,
                call.fields().optional_string("initial_device_display_name", kDeviceNames));
  json::Object wanted;
  if (name) wanted.set("initial_device_display_name", *name);
  POLDER_CO_TRY(const json::Object made,
                co_await make_account(api, std::move(wanted), true, call.request().remote_address));
  co_return ok_json(made);
}

// What can be told before anything was shown.
Task<Status> check_wanted(const Api& api, json::Object wanted) {
  POLDER_CO_TRY(const std::string name, json::Reader(wanted).string_or("username", ""));
  if (name.empty()) co_return Status();
  POLDER_CO_CHECK(check_user_not_claimed(api, name));
  const Status available = co_await api.accounts.check_available(name);
  if (!available.ok()) co_return registration_error(available.error());
  co_return Status();
}

users::Flows flows_of(const Settings& settings) {
  if (settings.registration_tokens.empty()) return {{users::kDummyStage}};
  return {{users::kRegistrationTokenStage, users::kDummyStage}};
}

}  // namespace

Status may_register(const Api& api, bool open) {
  return api.writer.permit_known({.point = policy::Point::kRegister}, policy::Client(),
                                 {.registration = policy::Registration{.open = open}});
}

bool is_registration_token(const Settings& settings, std::string_view token) {
  bool known = false;
  for (const std::string& one : settings.registration_tokens)
    known = base::equal_in_constant_time(one, token) || known;
  return known;
}

Task<Result<Response>> register_account(const Api& api, Call& call) {
  POLDER_CO_TRY(const auto kind, call.query().one_of("kind", {"guest", "user"}));
  if (kind == "guest") co_return co_await register_guest(api, call);
  POLDER_CO_CHECK(may_register(api, api.settings->registration_enabled));
  POLDER_CO_TRY(auto auth, take_auth(call));
  users::GuardedRequest request = guarded_request(call);
  request.user.reset();
  request.kind = users::Parameters::kGathered;
  request.flows = flows_of(*api.settings.get());
  POLDER_CO_TRY(request.parameters, co_await read_account(api, call));
  if (auth) request.parameters = api.authentication.recall(request, *auth);
  json::Object wanted = request.parameters;
  auto make = [&api, wanted, address = call.request().remote_address] {
    return make_account(api, wanted, false, address);
  };
  POLDER_CO_TRY(const auto answer, co_await api.authentication.perform(
                                       std::move(request), std::move(auth), std::move(make)));
  if (!answer.carried_out) POLDER_CO_CHECK(co_await check_wanted(api, std::move(wanted)));
  co_return interactive_response(answer);
}

}  // namespace polder::client_api
