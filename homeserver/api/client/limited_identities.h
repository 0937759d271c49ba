// How often somebody may guess (http::RateClass::kLoginFailed).
#pragma once

#include "homeserver/base/http/rate_limits.h"
#include "homeserver/users/accounts/identity_provider.h"

namespace polder::client_api {

// Who tried too many wrong credentials for a user is refused with kRateLimited, whether this one is
// right or not. Thread-safe.
class LimitedIdentities final : public users::IdentityProvider {
 public:
  // Both outlive it.
  LimitedIdentities(http::RateLimits& limits, users::IdentityProvider& provider)
      : limits_(limits), provider_(provider) {}

  Task<Result<users::IdentityProof>> check(users::Credential credential) override;

 private:
  http::RateLimits& limits_;
  users::IdentityProvider& provider_;
};

}  // namespace polder::client_api
