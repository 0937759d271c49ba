// The beginning of sessions: what logins and registrations share.
#pragma once

#include "homeserver/api/client/api.h"

namespace polder::client_api {

inline constexpr json::StringBounds kDeviceNames{.bytes_max = users::kDisplayNameBytesMax};

inline constexpr json::StringBounds kNewPasswords{.bytes_min = 1};

// What a request's body says of the device.
Result<users::NewSession> read_new_session(const Call& call);
// The answer: who the user is, with which token.
Task<Result<json::Object>> begin_session(const Api& api, UserId user, users::NewSession wanted);
// As the specification names why a name cannot be had.
Error registration_error(const Error& error);

}  // namespace polder::client_api
