// Whether the server can do its work, for load balancers and operators.
#pragma once

#include "homeserver/base/http/router.h"
#include "storage/kv/kv.h"

namespace polder::server {

// GET /health: 200 while reading and writing work, 503 while the database is read-only.
void add_health_routes(http::Router& router, const kv::Database& database);

}  // namespace polder::server
