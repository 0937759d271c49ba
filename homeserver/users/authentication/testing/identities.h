// An identity provider with passwords in a map: for tests.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "homeserver/users/accounts/identity_provider.h"

namespace polder::users {

class KnownPasswords final : public IdentityProvider {
 public:
  explicit KnownPasswords(std::map<std::string, std::string> passwords)
      : passwords_(std::move(passwords)) {}

  Task<Result<IdentityProof>> check(Credential credential) override {
    ++asked;
    if (broken) co_return *broken;
    const auto known = passwords_.find(credential.user->str());
    if (known == passwords_.end() || known->second != credential.secret)
      co_return fail(ErrorCode::kForbidden, "wrong");
    co_return IdentityProof{*credential.user, deactivated};
  }

  size_t asked = 0;
  bool deactivated = false;
  std::optional<Error> broken;

 private:
  const std::map<std::string, std::string> passwords_;
};

}  // namespace polder::users
