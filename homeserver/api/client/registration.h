// Registrations under way, from the first request of a session to the last
// (https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "homeserver/api/client/api.h"
#include "homeserver/api/client/nonces.h"
#include "homeserver/base/values/mutex.h"

namespace polder::client_api {

// What a request says of the account that is wanted. Of the password only its hash is kept
// (CVE-2023-41335).
struct WantedAccount {
  std::optional<std::string> username;
  std::optional<std::string> password_hash;
  std::optional<DeviceId> device;
  std::optional<std::string> device_name;
  std::optional<bool> inhibit_login;

  // What this request leaves out is as an earlier one said.
  void add(const WantedAccount& earlier);
};

inline constexpr size_t kRegistrationsMax = 10'000;  // then the oldest are forgotten
inline constexpr Millis kRegistrationKept{15 * 60'000};

// In memory: whoever registers while the server starts anew is asked again. Thread-safe.
class Registrations {
 public:
  explicit Registrations(runtime::Runtime& runtime) : runtime_(runtime), turns_(runtime) {}

  // A session for a client that has not shown anything yet: its id.
  std::string begin(WantedAccount wanted);
  // What was wanted in the session so far; nothing if there is none, any more.
  std::optional<WantedAccount> find(const std::string& session);
  // In the session's turn: what make() gives, or gave before. An error is given once, so that the
  // client may try again.
  using Make = std::function<Task<Result<json::Object>>()>;
  Task<Result<json::Object>> once(std::string session, Make make);

 private:
  struct Registration {
    WantedAccount wanted;
    std::chrono::nanoseconds until{};
    std::optional<json::Object> answer;  // to the last request
  };
  void forget_old() REQUIRES(mutex_);
  std::optional<json::Object> answer_of(const std::string& session);
  void set_answer(const std::string& session, json::Object answer);
  Task<Result<json::Object>> once_in_turn(std::string session, Make make);

  runtime::Runtime& runtime_;
  runtime::KeyedQueues turns_;  // by a hash of the session's id
  base::Mutex mutex_;
  std::map<std::string, Registration> sessions_ GUARDED_BY(mutex_);
  std::deque<std::string> oldest_ GUARDED_BY(mutex_);  // in the order of their begin
};

// What lasts from one request that registers somebody to the next. Outlives the router.
struct Registering {
  explicit Registering(const Api& services)
      : api(services), registrations(services.runtime), nonces(services.runtime.random()) {}

  const Api& api;
  Registrations registrations;
  Nonces nonces;
};
void add_registration_routes(http::Router& router, Registering& registering);

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register
Task<Result<http::Response>> register_account(const Api& api, Registrations& registrations,
                                              Call& call);

}  // namespace polder::client_api
