#include "homeserver/users/authentication/stages.h"

#include "homeserver/base/json/reader.h"
#include "homeserver/users/authentication/flows.h"
#include "homeserver/users/authentication/identifier.h"

namespace polder::users {
namespace {

// Whether it is the user whom `auth` names; who names nobody means themselves.
Result<bool> names(const json::Object& auth, const UserId& user, const ServerName& own) {
  bool anybody = false;
  for (const std::string_view member : {"identifier", "user", "medium", "address"})
    anybody = anybody || auth.contains(member);
  if (!anybody) return true;
  POLDER_TRY(const UserId named, read_identifier(auth, own));
  return named == user;
}

}  // namespace

std::string_view PasswordStage::type() const {
  return kPasswordStage;
}

Task<Result<Refusal>> PasswordStage::attempt(std::optional<UserId> user, json::Object auth) {
  if (!user) co_return fail(ErrorCode::kInternal, "nobody asks whose password it could be");
  POLDER_CO_TRY(const bool own, names(auth, *user, own_));
  if (!own) co_return fail(ErrorCode::kForbidden, "The password must be that of the caller");
  POLDER_CO_TRY(std::string password, json::Reader(auth, "auth.").string("password"));
  Credential credential{kPasswordCredential, *user, std::move(password)};
  const auto proof = co_await provider_.check(std::move(credential));
  if (proof.ok() && proof->user == *user && !proof->deactivated) co_return Refusal();
  if (!proof.ok() && proof.error().code != ErrorCode::kForbidden) co_return proof.error();
  co_return Refusal(fail(ErrorCode::kForbidden, "M_FORBIDDEN", "Invalid password"));
}

std::string_view DummyStage::type() const {
  return kDummyStage;
}

Task<Result<Refusal>> DummyStage::attempt(std::optional<UserId>, json::Object) {
  co_return Refusal();
}

std::string_view RegistrationTokenStage::type() const {
  return kRegistrationTokenStage;
}

Task<Result<Refusal>> RegistrationTokenStage::attempt(std::optional<UserId>, json::Object auth) {
  POLDER_CO_TRY(const std::string token, json::Reader(auth, "auth.").string("token"));
  if (is_good_(token)) co_return Refusal();
  co_return Refusal(
      fail(ErrorCode::kForbidden, "M_UNAUTHORIZED", "The registration token is not valid"));
}

}  // namespace polder::users
