// Stages that this server can tell of by itself.
#pragma once

#include <functional>
#include <string>

#include "homeserver/users/accounts/identity_provider.h"
#include "homeserver/users/authentication/stage.h"

namespace polder::users {

// https://spec.matrix.org/v1.19/client-server-api/#password-based: the password of who asks.
class PasswordStage final : public Stage {
 public:
  // The provider outlives it.
  PasswordStage(IdentityProvider& provider, ServerName own)
      : provider_(provider), own_(std::move(own)) {}

  std::string_view type() const override;
  Task<Result<Refusal>> attempt(std::optional<UserId> user, json::Object auth) override;

 private:
  IdentityProvider& provider_;
  const ServerName own_;
};

// https://spec.matrix.org/v1.19/client-server-api/#dummy-auth: always succeeds.
class DummyStage final : public Stage {
 public:
  std::string_view type() const override;
  Task<Result<Refusal>> attempt(std::optional<UserId> user, json::Object auth) override;
};

// https://spec.matrix.org/v1.19/client-server-api/#token-authenticated-registration
class RegistrationTokenStage final : public Stage {
 public:
  // What tells whether a token is good now. Thread-safe.
  using IsGood = std::function<bool(std::string_view token)>;
  explicit RegistrationTokenStage(IsGood is_good) : is_good_(std::move(is_good)) {}

  std::string_view type() const override;
  Task<Result<Refusal>> attempt(std::optional<UserId> user, json::Object auth) override;

 private:
  const IsGood is_good_;
};

}  // namespace polder::users
