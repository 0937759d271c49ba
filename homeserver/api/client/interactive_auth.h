// Operations under the User-Interactive Authentication API, as HTTP carries it:
// https://spec.matrix.org/v1.19/client-server-api/#user-interactive-api-in-the-rest-api.
#pragma once

#include <optional>

#include "homeserver/api/client/api.h"

namespace polder::client_api {

// Takes out of the body what the client says to prove who they are: nothing if it says nothing, or
// null, as some clients do at first.
Result<std::optional<json::Object>> take_auth(Call& call);

// What an operation and its session are recognised by, but for its parameters.
users::GuardedRequest guarded_request(const Call& call);

// An operation that its caller confirms with their password.
struct Confirmation {
  users::GuardedRequest request;
  std::optional<json::Object> auth;
};
// To be called before the body is read: it becomes what an earlier request of the session said, if
// this one says nothing. `secret`: there is a secret in it, of which nothing is kept.
Result<Confirmation> read_confirmation(const Api& api, Call& call, bool secret = false);
// The operation's answer, or what is still to be shown. Takes the body, of which all has been read.
Task<Result<http::Response>> confirmed(const Api& api, Call& call, Confirmation confirmation,
                                       users::InteractiveAuthentication::CarryOut carry_out);

http::Response interactive_response(const users::InteractiveAnswer& answer);

}  // namespace polder::client_api
