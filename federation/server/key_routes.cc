// This server's version and keys, and what it knows of the keys of others.
#include "federation/server/api.h"
#include "federation/server/parallel.h"
#include "federation/wire/server_keys.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/signing.h"

namespace polder::federation_server {
namespace {

using http::Authentication;
using http::Method;
using http::Response;

constexpr int64_t kDayMs = 24 * 3600 * 1000LL;
constexpr size_t kQueriedServersMax = 100;  // of one request to the notary
constexpr size_t kQueriesAtOnce = 10;

json::Object own_keys(const Api& api) {
  const int64_t valid_until = api.runtime().clock().wall_ms() + kDayMs;
  return wire::write_server_keys(api.own_name(), api.rooms().parts().signing_key, {}, valid_until);
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1version
Task<Result<Response>> version(Api& api, Call&) {
  co_return ok_json(
      {{"server", json::object({{"name", "Polder"}, {"version", api.parts.version}})}});
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2server
Task<Result<Response>> server_keys(Api& api, Call&) {
  co_return ok_json(own_keys(api));
}

struct Query {
  ServerName server;
  int64_t valid_until_ms = 0;
};

// What a server answered to the question for its keys, with this server's signature added; left out
// if it could not be asked and nothing is kept.
Task<void> answer_query(Api& api, Query query, std::shared_ptr<json::Array> found) {
  if (query.server == api.own_name()) {
    found->emplace_back(own_keys(api));
    co_return;
  }
  const auto kept = co_await api.parts.keyring.signed_keys(query.server, query.valid_until_ms);
  auto keys = kept.ok() ? json::parse_object(*kept) : Result<json::Object>(kept.error());
  if (!keys.ok()) {
    api.runtime().log().info("keys_not_found",
                             {{"server", query.server}, {"reason", keys.error().message}});
    co_return;
  }
  events::sign_json(*keys, api.own_name().view(), api.rooms().parts().signing_key);
  found->emplace_back(*std::move(keys));
}

Task<Result<Response>> answer_queries(Api& api, std::vector<Query> queries) {
  auto found = std::make_shared<json::Array>();
  const size_t count = queries.size();
  auto make = [&api, queries = std::move(queries), found](size_t i) {
    return answer_query(api, queries[i], found);
  };
  co_await in_parallel(api.runtime(), count, kQueriesAtOnce, std::move(make));
  co_return ok_json({{"server_keys", std::move(*found)}});
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2queryservername
Task<Result<Response>> query_one(Api& api, Call& call) {
  Query query;
  POLDER_CO_TRY(query.server, ServerName::parse(call.path("serverName")));
  // "If not supplied, the notary server MUST use the current time."
  query.valid_until_ms = api.runtime().clock().wall_ms();
  if (call.query("minimum_valid_until_ts")) {
    POLDER_CO_TRY(query.valid_until_ms, int_query(call, "minimum_valid_until_ts"));
  }
  std::vector<Query> queries(1, query);
  co_return co_await answer_queries(api, std::move(queries));
}

// https://spec.matrix.org/v1.19/server-server-api/#post_matrixkeyv2query
Task<Result<Response>> query_many(Api& api, Call& call) {
  POLDER_CO_TRY(const json::Object body, parse_body(call.exchange.request.body));
  const json::Object* servers = body.find_object("server_keys");
  if (servers == nullptr) co_return fail(ErrorCode::kMissing, "server_keys must be an object");
  if (servers->size() > kQueriedServersMax)
    co_return fail(ErrorCode::kTooLarge, "Too many servers at once");
  const int64_t now = api.runtime().clock().wall_ms();
  std::vector<Query> queries;
  for (const auto& [name, keys] : *servers) {
    Query query;
    POLDER_CO_TRY(query.server, ServerName::parse(name));
    query.valid_until_ms = now;
    if (keys.as_object() == nullptr) co_return fail(ErrorCode::kInvalid, "No criteria of a server");
    for (const auto& [id, criteria] : *keys.as_object()) {
      const json::Object* object = criteria.as_object();
      const auto until =
          object != nullptr ? object->find_int("minimum_valid_until_ts") : std::optional<int64_t>();
      query.valid_until_ms = std::max(query.valid_until_ms, until.value_or(now));
    }
    queries.push_back(std::move(query));
  }
  co_return co_await answer_queries(api, std::move(queries));
}

}  // namespace

void add_key_routes(http::Router& router, Api& api) {
  const auto open = [&](Method method, std::string_view path, size_t body_max, Action action) {
    add_route(router, api, {method, path, body_max, Authentication::kNone}, std::move(action));
  };
  open(Method::kGet, "/_matrix/federation/v1/version", 0, version);
  open(Method::kGet, "/_matrix/key/v2/server", 0, server_keys);
  open(Method::kGet, "/_matrix/key/v2/query/{serverName}", 0, query_one);
  open(Method::kPost, "/_matrix/key/v2/query", kSmallBody, query_many);
}

}  // namespace polder::federation_server
