// Passwords that this server keeps itself.
#pragma once

#include "homeserver/users/accounts/accounts.h"
#include "homeserver/users/accounts/identity_provider.h"

namespace polder::users {

// Thread-safe.
class LocalPasswords final : public IdentityProvider {
 public:
  // The accounts outlive it.
  explicit LocalPasswords(Accounts& accounts) : accounts_(accounts) {}

  Task<Result<IdentityProof>> check(Credential credential) override;

 private:
  Accounts& accounts_;
};

}  // namespace polder::users
