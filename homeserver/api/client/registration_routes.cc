// Making accounts: by whoever may, and by who knows the shared secret.
#include "homeserver/api/client/exclusive.h"
#include "homeserver/api/client/login.h"
#include "homeserver/api/client/registration.h"
#include "homeserver/base/crypto/hash.h"
#include "homeserver/base/values/bytes.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::client_api {
namespace {

using http::Authentication;
using http::Method;
using http::RateClass;
using http::Response;

Task<Result<Response>> register_user(Registering& registering, Call& call) {
  return register_account(registering.api, call);
}

Task<Result<Response>> register_available(Registering& registering, Call& call) {
  POLDER_CO_TRY(const std::string_view name, call.query().text("username"));
  POLDER_CO_CHECK(check_user_not_claimed(registering.api, std::string(name)));
  const Status available = co_await registering.api.accounts.check_available(std::string(name));
  if (!available.ok()) co_return registration_error(available.error());
  co_return ok_json({{"available", true}});
}

Task<Result<Response>> token_validity(Registering& registering, Call& call) {
  const Api& api = registering.api;
  POLDER_CO_TRY(const std::string_view token, call.query().text("token"));
  POLDER_CO_CHECK(may_register(api, api.settings->registration_enabled));
  co_return ok_json({{"valid", is_registration_token(*api.settings.get(), token)}});
}

// --- Synapse's registration with a shared secret, which tools use: a nonce, then an HMAC over it.

Status check_enabled(const Api& api) {
  if (!api.settings->registration_secret.empty()) return {};
  return fail(ErrorCode::kForbidden, "Shared secret registration is not enabled");
}

Task<Result<Response>> get_nonce(Registering& registering, Call&) {
  POLDER_CO_CHECK(check_enabled(registering.api));
  runtime::Runtime& runtime = registering.api.runtime;
  co_return ok_json(
      {{"nonce", registering.nonces.make(runtime.random(), runtime.clock().wall_ms())}});
}

// The account that the body wants, if its writer knows the secret.
Result<users::NewAccount> read_proved_account(Registering& registering, const Call& call) {
  const json::Reader in = call.fields();
  POLDER_TRY(const std::string nonce, in.string("nonce"));
  users::NewAccount account;
  POLDER_TRY(account.localpart, in.string("username"));
  POLDER_TRY(const std::string password, in.string("password", kNewPasswords));
  POLDER_TRY(const std::string mac, in.string("mac"));
  POLDER_TRY(account.admin, in.boolean_or("admin", false));
  POLDER_TRY(const auto type, in.optional_string("user_type"));
  const Api& api = registering.api;
  const int64_t now_ms = api.runtime.clock().wall_ms();
  if (!registering.nonces.good(nonce, now_ms))
    return fail(ErrorCode::kInvalid, "M_UNKNOWN", "unrecognised nonce");
  std::string signed_text = nonce + '\0' + account.localpart + '\0' + password + '\0' +
                            (account.admin ? "admin" : "notadmin");
  if (type) signed_text += '\0' + *type;
  if (!base::equal_in_constant_time(
          crypto::hmac_sha1_hex(api.settings->registration_secret, signed_text), mac)) {
    return fail(ErrorCode::kForbidden, "HMAC incorrect");
  }
  if (!registering.nonces.use(nonce, now_ms))
    return fail(ErrorCode::kInvalid, "M_UNKNOWN", "unrecognised nonce");
  account.password = password;
  return account;
}

Task<Result<Response>> register_with_secret(Registering& registering, Call& call) {
  const Api& api = registering.api;
  POLDER_CO_CHECK(check_enabled(api));
  POLDER_CO_TRY(const bool inhibit_login, call.fields().boolean_or("inhibit_login", false));
  POLDER_CO_TRY(auto session, read_new_session(call));
  POLDER_CO_TRY(auto account, read_proved_account(registering, call));
  POLDER_CO_TRY(account.localpart, new_localpart(api, std::move(account.localpart)));
  POLDER_CO_CHECK(api.writer.permit_known(
      {.point = policy::Point::kRegister, .target = account.localpart}, policy::Administrator(),
      {.registration = policy::Registration{.open = api.settings->registration_enabled}},
      &account.with));
  const auto user = co_await api.accounts.register_user(std::move(account));
  if (!user.ok()) co_return registration_error(user.error());
  if (inhibit_login) co_return ok_json({{"user_id", user->str()}});
  POLDER_CO_TRY(const json::Object begun, co_await begin_session(api, *user, std::move(session)));
  co_return ok_json(begun);
}

constexpr kit::Terms kRegister{.authentication = Authentication::kNone,
                               .rate = RateClass::kRegistration,
                               .body_max = kSmallBody};
constexpr kit::Terms kAvailable{.authentication = Authentication::kNone,
                                .rate = RateClass::kRegistration};
constexpr kit::Terms kNonce{.authentication = Authentication::kNone};
constexpr kit::Terms kSecret{.authentication = Authentication::kNone, .body_max = kSmallBody};
constexpr kit::Operation<Registering> kRegistrationOperations[] = {
    {"register", Method::kPost, "/_matrix/client/v3/register", register_user, kRegister},
    {"checkUsernameAvailability", Method::kGet, "/_matrix/client/v3/register/available",
     register_available, kAvailable},
    {"registrationTokenValidity", Method::kGet,
     "/_matrix/client/v1/register/m.login.registration_token/validity", token_validity, kAvailable},
    {"admin.getRegistrationNonce", Method::kGet, "/_synapse/admin/v1/register", get_nonce, kNonce},
    {"admin.registerWithSecret", Method::kPost, "/_synapse/admin/v1/register", register_with_secret,
     kSecret},
};

}  // namespace

void add_registration_routes(http::Router& router, Registering& registering) {
  kit::add_operations(router, registering.api.runtime, registering,
                      std::span<const kit::Operation<Registering>>(kRegistrationOperations));
}

}  // namespace polder::client_api
