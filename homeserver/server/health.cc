#include "homeserver/server/health.h"

namespace polder::server {
namespace {

Task<Result<http::Response>> health(const kv::Database& database) {
  if (database.read_only()) co_return http::Response::json(503, R"({"status":"read_only"})");
  co_return http::Response::json(200, R"({"status":"ok"})");
}

}  // namespace

void add_health_routes(http::Router& router, const kv::Database& database) {
  http::Route route;
  route.path = "/health";
  route.operation = "health";
  route.handler = [&database](http::Exchange&) { return health(database); };
  router.add(std::move(route));
}

}  // namespace polder::server
