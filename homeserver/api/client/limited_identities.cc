#include "homeserver/api/client/limited_identities.h"

#include "homeserver/base/http/errors.h"

namespace polder::client_api {

// Counted before it is known to be wrong, so that many at once are not more than one after another.
// A credential that names nobody is for no account: its address is counted by the route.
Task<Result<users::IdentityProof>> LimitedIdentities::check(users::Credential credential) {
  if (!credential.user) co_return co_await provider_.check(std::move(credential));
  const UserId named = *credential.user;
  const http::Principal account{http::Principal::Kind::kAccount, named.view()};
  const auto wait = limits_.take(http::RateClass::kLoginFailed, account);
  if (wait) {
    co_return http::with_details(fail(ErrorCode::kRateLimited, "Too many requests"),
                                 {{"retry_after_ms", wait->count()}});
  }
  auto proof = co_await provider_.check(std::move(credential));
  if (proof.ok() || proof.error().code != ErrorCode::kForbidden)
    limits_.give_back(http::RateClass::kLoginFailed, account);
  co_return proof;
}

}  // namespace polder::client_api
