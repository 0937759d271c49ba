// Accounts that people make for themselves.
#pragma once

#include "homeserver/api/client/api.h"
#include "homeserver/api/client/nonces.h"

namespace polder::client_api {

// What lasts from one request that registers somebody to the next. Outlives the router.
struct Registering {
  explicit Registering(const Api& services) : api(services), nonces(services.runtime.random()) {}

  const Api& api;
  Nonces nonces;
};
void add_registration_routes(http::Router& router, Registering& registering);

// Takes as long whichever it is.
bool is_registration_token(const Settings& settings, std::string_view token);
// Whether people may make themselves accounts now; else a refusal, which is on record.
Status may_register(const Api& api, bool open);

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register
Task<Result<http::Response>> register_account(const Api& api, Call& call);

}  // namespace polder::client_api
