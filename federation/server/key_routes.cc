// This server's version and keys, and what it knows of the keys of others.
#include <atomic>

#include "federation/server/api.h"
#include "federation/server/parallel.h"
#include "federation/wire/server_keys.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/events/signing.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::federation_server {
namespace {

using http::Authentication;
using http::Method;
using http::Response;

constexpr int64_t kDayMillis = 24 * 3600 * 1000LL;
constexpr size_t kQueriedServersMax = 100;  // of one request to the notary
constexpr size_t kQueriesAtOnce = 10;
// Nobody has proved who they are: so many servers are asked for one request, and so much is told.
constexpr int kAskedMax = 3;
constexpr size_t kAnswerBytesMax = 512 * 1024;

json::Object own_keys(const Api& api) {
  const int64_t valid_until = api.runtime().clock().wall_ms() + kDayMillis;
  return wire::write_server_keys(api.own_name(), api.writer().signing_key(), {}, valid_until);
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

// One request to the notary.
struct Queries {
  std::vector<Query> queries;
  std::string address;  // whose it is
  std::shared_ptr<std::atomic<int>> asks_left = std::make_shared<std::atomic<int>>(kAskedMax);
  json::Array found;
  size_t bytes = 0;
};

// What a server answered to the question for its keys, with this server's signature added; left out
// if it could not be asked and nothing is kept.
Task<void> answer_query(Api& api, Query query, std::shared_ptr<Queries> all) {
  if (query.server == api.own_name()) {
    all->found.emplace_back(own_keys(api));
    co_return;
  }
  const auto kept = co_await api.parts.keyring.signed_keys(query.server, query.valid_until_ms,
                                                           all->address, all->asks_left);
  if (kept.ok()) all->bytes += kept->size();
  if (all->bytes > kAnswerBytesMax) co_return;
  auto keys = kept.ok() ? json::parse_object(*kept) : Result<json::Object>(kept.error());
  if (!keys.ok()) {
    api.runtime().log().info("keys_not_found",
                             {{"server", query.server}, {"reason", keys.error().message}});
    co_return;
  }
  events::sign_json(*keys, api.own_name().view(), api.writer().signing_key());
  all->found.emplace_back(*std::move(keys));
}

Task<Result<Response>> answer_queries(Api& api, const Call& call, std::vector<Query> queries) {
  auto all = std::make_shared<Queries>();
  all->queries = std::move(queries);
  all->address = call.exchange.request.remote_address;
  auto make = [&api, all](size_t i) { return answer_query(api, all->queries[i], all); };
  co_await in_parallel(api.runtime(), all->queries.size(), kQueriesAtOnce, std::move(make));
  co_return ok_json({{"server_keys", std::move(all->found)}});
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2queryservername
Task<Result<Response>> query_one(Api& api, Call& call) {
  Query query;
  POLDER_CO_TRY(query.server, ServerName::parse(call.path("serverName")));
  // "If not supplied, the notary server MUST use the current time."
  query.valid_until_ms = api.runtime().clock().wall_ms();
  POLDER_CO_TRY(query.valid_until_ms,
                call.query().integer_or("minimum_valid_until_ts", query.valid_until_ms));
  std::vector<Query> queries(1, query);
  co_return co_await answer_queries(api, call, std::move(queries));
}

// https://spec.matrix.org/v1.19/server-server-api/#post_matrixkeyv2query
Task<Result<Response>> query_many(Api& api, Call& call) {
  POLDER_CO_TRY(const json::Object* servers,
                call.fields().object("server_keys", {kQueriedServersMax}));
  const int64_t now = api.runtime().clock().wall_ms();
  std::vector<Query> queries;
  for (const auto& [name, keys] : *servers) {
    Query query;
    POLDER_CO_TRY(query.server, ServerName::parse(name));
    query.valid_until_ms = now;
    POLDER_CO_TRY(const json::Object* by_key, json::read_object(keys, "the keys of a server"));
    for (const auto& [id, criteria] : *by_key) {
      POLDER_CO_TRY(const json::Object* object, json::read_object(criteria, "criteria of a key"));
      POLDER_CO_TRY(const int64_t until,
                    json::Reader(*object).integer_or("minimum_valid_until_ts", now));
      query.valid_until_ms = std::max(query.valid_until_ms, until);
    }
    queries.push_back(std::move(query));
  }
  co_return co_await answer_queries(api, call, std::move(queries));
}

constexpr kit::Terms open(size_t body_max = 0) {
  kit::Terms terms = signed_by_server(body_max);
  terms.authentication = Authentication::kNone;
  return terms;
}
constexpr Operation kKeyOperations[] = {
    {"getVersion", Method::kGet, "/_matrix/federation/v1/version", version, open()},
    {"getServerKey", Method::kGet, "/_matrix/key/v2/server", server_keys, open()},
    {"perspectivesKeyQuery", Method::kGet, "/_matrix/key/v2/query/{serverName}", query_one, open()},
    {"bulkPerspectivesKeyQuery", Method::kPost, "/_matrix/key/v2/query", query_many,
     open(kSmallBody)},
};

}  // namespace

void add_key_routes(http::Router& router, Api& api) {
  add_operations(router, api, kKeyOperations);
}

}  // namespace polder::federation_server
