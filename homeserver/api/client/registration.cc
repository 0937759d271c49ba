#include "homeserver/api/client/registration.h"

#include "homeserver/api/client/exclusive.h"
#include "homeserver/api/client/interactive_auth.h"
#include "homeserver/api/client/login.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::client_api {
namespace {

using http::Response;

constexpr size_t kSessionLetters = 24;

Task<Result<WantedAccount>> read_wanted(const Api& api, const Call& call) {
  const json::Reader in = call.fields();
  WantedAccount wanted;
  POLDER_CO_TRY(wanted.username, in.optional_string("username"));
  POLDER_CO_TRY(const auto device, in.optional_string("device_id"));
  if (device) {
    POLDER_CO_TRY(wanted.device, DeviceId::parse(*device));
  }
  POLDER_CO_TRY(wanted.device_name,
                in.optional_string("initial_device_display_name", kDeviceNames));
  POLDER_CO_TRY(wanted.inhibit_login, in.optional_boolean("inhibit_login"));
  POLDER_CO_CHECK(in.boolean_or("refresh_token", false));
  POLDER_CO_TRY(auto password, in.optional_string("password"));
  if (!password) co_return wanted;
  if (password->empty())
    co_return fail(ErrorCode::kInvalid, "M_WEAK_PASSWORD", "The password is empty");
  POLDER_CO_TRY(wanted.password_hash, co_await api.accounts.hash_password(*std::move(password)));
  co_return wanted;
}

Task<Result<json::Object>> make_account(const Api& api, WantedAccount wanted, bool guest,
                                        std::string address) {
  users::NewAccount account;
  account.localpart = wanted.username.value_or("");
  POLDER_CO_CHECK(check_user_not_claimed(api, account.localpart));
  account.password_hash = std::move(wanted.password_hash);
  account.guest = guest;
  const auto user = co_await api.accounts.register_user(std::move(account));
  if (!user.ok()) co_return registration_error(user.error());
  if (wanted.inhibit_login.value_or(false)) co_return json::Object{{"user_id", user->str()}};
  users::NewSession session;
  session.device = std::move(wanted.device);
  session.display_name = wanted.device_name.value_or("");
  session.address = std::move(address);
  co_return co_await begin_session(api, *user, std::move(session));
}

Status may_register(const Api& api, bool open) {
  return api.writer.permit_known({.point = policy::Point::kRegister}, policy::Client(),
                                 {.registration = policy::Registration{.open = open}});
}

// "All parameters in the request body with the exception of initial_device_display_name MUST BE
// ignored by the server."
Task<Result<Response>> register_guest(const Api& api, const Call& call) {
  POLDER_CO_CHECK(may_register(api, api.settings->guests_allowed));
  WantedAccount wanted;
  POLDER_CO_TRY(wanted.device_name,
                call.fields().optional_string("initial_device_display_name", kDeviceNames));
  POLDER_CO_TRY(const json::Object made,
                co_await make_account(api, std::move(wanted), true, call.request().remote_address));
  co_return ok_json(made);
}

// The one stage that is asked for.
Task<Result<Response>> challenge(const Api& api, Registrations& registrations,
                                 WantedAccount wanted) {
  if (wanted.username && !wanted.username->empty()) {
    POLDER_CO_CHECK(check_user_not_claimed(api, *wanted.username));
    const Status available = co_await api.accounts.check_available(*wanted.username);
    if (!available.ok()) co_return registration_error(available.error());
  }
  const json::Object flow{{"stages", json::Array(1, "m.login.dummy")}};
  Response response = ok_json({{"flows", json::Array(1, flow)},
                               {"params", json::Object()},
                               {"session", registrations.begin(std::move(wanted))}});
  response.status = 401;
  co_return response;
}

}  // namespace

void WantedAccount::add(const WantedAccount& earlier) {
  if (!username) username = earlier.username;
  if (!password_hash) password_hash = earlier.password_hash;
  if (!device) device = earlier.device;
  if (!device_name) device_name = earlier.device_name;
  if (!inhibit_login) inhibit_login = earlier.inhibit_login;
}

std::string Registrations::begin(WantedAccount wanted) {
  std::string session = runtime_.random().letters(kSessionLetters);
  const base::Lock lock(mutex_);
  forget_old();
  sessions_[session] = {std::move(wanted), runtime_.clock().steady() + kRegistrationKept, {}};
  oldest_.push_back(session);
  return session;
}

void Registrations::forget_old() {
  const auto now = runtime_.clock().steady();
  while (!oldest_.empty() &&
         (oldest_.size() >= kRegistrationsMax || sessions_.at(oldest_.front()).until <= now)) {
    sessions_.erase(oldest_.front());
    oldest_.pop_front();
  }
}

std::optional<WantedAccount> Registrations::find(const std::string& session) {
  const base::Lock lock(mutex_);
  forget_old();
  const auto known = sessions_.find(session);
  return known != sessions_.end() ? std::optional(known->second.wanted) : std::nullopt;
}

std::optional<json::Object> Registrations::answer_of(const std::string& session) {
  const base::Lock lock(mutex_);
  const auto known = sessions_.find(session);
  return known != sessions_.end() ? known->second.answer : std::nullopt;
}

void Registrations::set_answer(const std::string& session, json::Object answer) {
  const base::Lock lock(mutex_);
  const auto known = sessions_.find(session);
  if (known != sessions_.end()) known->second.answer = std::move(answer);
}

Task<Result<json::Object>> Registrations::once_in_turn(std::string session, Make make) {
  if (auto answer = answer_of(session)) co_return *std::move(answer);
  auto made = co_await make();
  if (made.ok()) set_answer(session, *made);
  co_return made;
}

Task<Result<json::Object>> Registrations::once(std::string session, Make make) {
  const uint64_t key = std::hash<std::string>()(session);
  auto turn = [this, session = std::move(session), make = std::move(make)] {
    return once_in_turn(session, make);
  };
  co_return co_await turns_.in_turn(key, std::move(turn));
}

Task<Result<Response>> register_account(const Api& api, Registrations& registrations, Call& call) {
  POLDER_CO_TRY(const auto kind, call.query().one_of("kind", {"guest", "user"}));
  if (kind == "guest") co_return co_await register_guest(api, call);
  POLDER_CO_CHECK(may_register(api, api.settings->registration_enabled));
  POLDER_CO_TRY(const json::Object* auth, auth_of(call));
  std::string stage;
  std::optional<std::string> session;
  if (auth != nullptr) {
    POLDER_CO_TRY(stage, json::Reader(*auth, "auth.").string_or("type", ""));
    POLDER_CO_TRY(session, json::Reader(*auth, "auth.").optional_string("session"));
  }
  POLDER_CO_TRY(WantedAccount wanted, co_await read_wanted(api, call));
  const auto earlier = session ? registrations.find(*session) : std::nullopt;
  if (earlier) wanted.add(*earlier);
  // Whoever names a session that is gone may have said in it what is missing now.
  if (stage != "m.login.dummy" || (session && !earlier))
    co_return co_await challenge(api, registrations, std::move(wanted));
  const Registrations::Make make = [&api, wanted, address = call.request().remote_address] {
    return make_account(api, wanted, false, address);
  };
  auto made = co_await (session ? registrations.once(*session, make) : make());
  if (!made.ok()) co_return made.error();
  co_return ok_json(*made);
}

}  // namespace polder::client_api
