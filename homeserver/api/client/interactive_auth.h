// https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api with the
// password as the only stage. Nothing of it is kept between requests (CVE-2023-41335).
#pragma once

#include <optional>

#include "homeserver/api/client/api.h"

namespace polder::client_api {

// What the client says to prove who they are; null if it says nothing, or null, as some clients do
// at first.
Result<const json::Object*> auth_of(const Call& call);

struct CheckedPassword {
  std::optional<http::Response> refused;  // the answer to who tried too many wrong ones
  users::PasswordProof proof;             // if not refused
};
// Who tried too many wrong passwords is refused, whether this one is right or not. kForbidden if it
// is wrong, there is no such user, or they are deactivated.
Task<Result<CheckedPassword>> check_password(const Api& api, UserId user, std::string password);

// Nothing if the caller proved who they are; else the challenge to answer with.
Task<Result<std::optional<http::Response>>> confirm_password(const Api& api, const Call& call);

}  // namespace polder::client_api
