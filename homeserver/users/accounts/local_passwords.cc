#include "homeserver/users/accounts/local_passwords.h"

namespace polder::users {

Task<Result<IdentityProof>> LocalPasswords::check(Credential credential) {
  if (credential.type != kPasswordCredential || !credential.user)
    co_return fail(ErrorCode::kUnsupported, "M_UNKNOWN", "only passwords of users prove them");
  const UserId user = *credential.user;
  POLDER_CO_TRY(auto proof, co_await accounts_.check_password(user, std::move(credential.secret)));
  co_return IdentityProof{user, proof.deactivated, std::move(proof.password_hash)};
}

}  // namespace polder::users
