// A session of the User-Interactive Authentication API, from the first request to its result, as a
// value: https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "homeserver/base/json/value.h"
#include "homeserver/base/values/bytes.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/users/authentication/flows.h"

namespace polder::users {

// How the requests of a session hang together.
enum class Parameters : uint8_t {
  // "Resubmitting the same request": each says the same, or nothing but `auth`, for what was said.
  kSame,
  // The same, and nothing of it is kept, because it holds a secret (CVE-2023-41335): each says all.
  kSameAndSecret,
  // What one leaves out is as an earlier one said: registrations, for which nobody is known whom a
  // change could harm, and whose clients ask for the flows before they ask people for a name.
  kGathered,
};

// A request that is carried out once it is authorised.
struct GuardedRequest {
  std::string operation;       // method and path, as they were asked for
  std::optional<UserId> user;  // who asks, as their access token says; nobody at a registration
  DeviceId device;
  std::string address;      // from where
  json::Object parameters;  // the body without `auth`
  Parameters kind = Parameters::kSame;
  Flows flows;  // of stages that the server knows
};

// What is kept of parameters and result; more has to be said again by the client.
inline constexpr size_t kSessionBytesMax = 16 * 1024;

// The states: stages are missing, authorised, carried out. It stays authorised until the request
// was carried out, since that may fail for other reasons; whoever repeats the last request then
// gets its result. Not thread-safe.
class AuthenticationSession {
 public:
  explicit AuthenticationSession(const GuardedRequest& first);

  // Whether a request is the one that this session is for.
  enum class Fit : uint8_t {
    kSame,
    kOtherAsker,
    kOtherOperation,
    kOtherFlows,  // the configuration has changed
    kOtherParameters
  };
  Fit fit(const GuardedRequest& request) const;
  // What the request means in this session, if it may leave out what earlier ones said. Of one that
  // is by the same asker, for the same operation.
  json::Object completed_by_earlier(const GuardedRequest& request) const;
  // Keeps what was gathered until now; of a request that fits.
  void remember(const GuardedRequest& request);

  bool may_attempt(std::string_view stage) const;
  // "Completed stages cannot be retried".
  bool has_completed(std::string_view stage) const;
  void complete(std::string_view stage);  // one that may be attempted
  bool authorised() const { return is_complete(flows_, completed_); }
  // Once, of an authorised one.
  void carry_out(json::Object result);
  const std::optional<json::Object>& result() const { return result_; }

  // The body of a 401 response: of the first request, which has shown nothing yet, and of others,
  // with what was wrong with an attempt.
  json::Object challenge(std::string_view id) const;
  json::Object challenge(std::string_view id, const std::optional<Error>& refusal) const;

  size_t bytes() const;  // of memory, about

 private:
  void keep(const json::Object& parameters);
  void drop_kept();

  std::string operation_;
  std::optional<UserId> user_;
  DeviceId device_;
  Parameters kind_;
  Flows flows_;
  Digest digest_;                       // of the parameters
  std::optional<json::Object> kept_;    // parameters, unless they are secret or too large
  size_t kept_bytes_ = 0;               // as text
  Stages completed_;                    // in order
  std::optional<json::Object> result_;  // of the request, once it was carried out
  size_t result_bytes_ = 0;             // as text
};

}  // namespace polder::users
