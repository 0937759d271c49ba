// https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api with the
// password as the only stage. Nothing of it is kept between requests (CVE-2023-41335).
#pragma once

#include <optional>

#include "homeserver/api/client/api.h"

namespace polder::client_api {

// What the client says to prove who they are; null if it says nothing, or null, as some clients do
// at first.
Result<const json::Object*> auth_of(const Call& call);

// Nothing if the caller proved who they are; else the challenge to answer with.
Task<Result<std::optional<http::Response>>> confirm_password(const Api& api, const Call& call);

}  // namespace polder::client_api
