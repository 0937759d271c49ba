#include "federation/server/transactions.h"

#include "federation/server/edus.h"
#include "federation/server/pdus.h"
#include "federation/wire/transaction.h"

namespace polder::federation_server {
namespace {

constexpr size_t kWaitingMax = 8;  // transactions of one origin; they should come one by one
constexpr size_t kIdMax = 255;     // bytes of a transaction id

Task<Result<std::string>> process(Api& api, ServerName origin, std::string body) {
  const std::string* text = &body;
  POLDER_CO_TRY(wire::IncomingTransaction transaction,
                co_await runtime::on_pool(api.runtime(), runtime::Lane::kShort, [text, origin] {
                  return wire::read_transaction(*text, origin);
                }));
  body = {};
  api.parts.servers.heard_from(origin);
  api.parts.sender.heard_from(origin);
  // Messages to devices first: the events may need the keys that they bring.
  POLDER_CO_CHECK(co_await receive_edus(api, origin, std::move(transaction.edus)));
  co_return co_await receive_pdus(api, origin, std::move(transaction.pdus));
}

// https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1sendtxnid
Task<Result<http::Response>> send(Api& api, Call& call) {
  std::string id(call.path("txnId"));
  if (id.size() > kIdMax) co_return fail(ErrorCode::kTooLarge, "The transaction id is too long");
  POLDER_CO_TRY(std::string text, co_await api.transactions->receive(call.origin(), std::move(id),
                                                                     std::move(call.text)));
  co_return http::Response::json(200, std::move(text));
}

}  // namespace

struct Transactions::Running {
  explicit Running(runtime::Runtime& runtime) : ended(runtime) {}
  runtime::Signal ended;
  std::optional<Result<std::string>> answer;
};

struct Transactions::Origin {
  explicit Origin(runtime::Runtime& runtime) : queue(runtime) {}
  runtime::SerialQueue queue;
  std::map<std::string, std::shared_ptr<Running>> running;  // by transaction id
};

Transactions::Transactions(Api& api) : api_(api), shards_(api.runtime().shard_count()) {}

Transactions::~Transactions() = default;

Task<Result<std::string>> Transactions::receive(ServerName origin, std::string id,
                                                std::string body) {
  const size_t shard = std::hash<ServerName>()(origin) % shards_.size();
  auto make = [this, origin, id = std::move(id), body = std::move(body)]() mutable {
    return receive_on_shard(origin, std::move(id), std::move(body));
  };
  co_return co_await runtime::on_shard(api_.runtime(), shard, std::move(make));
}

Task<Result<std::string>> Transactions::receive_on_shard(ServerName origin, std::string id,
                                                         std::string body) {
  auto& origins = shards_[api_.runtime().current_shard()];
  auto& slot = origins[origin];
  if (!slot) slot = std::make_unique<Origin>(api_.runtime());
  Origin& here = *slot;
  if (const auto known = here.running.find(id); known != here.running.end()) {
    const std::shared_ptr<Running> first = known->second;
    while (!first->answer)
      co_await first->ended.wait();
    co_return *first->answer;
  }
  if (here.running.size() >= kWaitingMax)
    co_return fail(ErrorCode::kRateLimited, "Too many transactions at once");
  const auto running = std::make_shared<Running>(api_.runtime());
  here.running.emplace(id, running);
  {
    const auto turn = co_await here.queue.turn();
    running->answer = co_await process(api_, origin, std::move(body));
  }
  here.running.erase(id);
  running->ended.notify_all();
  if (here.running.empty()) origins.erase(origin);
  co_return *running->answer;
}

namespace {

// One part that cannot be read is one, not all: so it is not parsed as a whole.
constexpr kit::Terms in_parts() {
  kit::Terms terms = signed_by_server(kTransactionBody);
  terms.body = http::Body::kText;
  return terms;
}
constexpr Operation kTransactionsOperations[] = {
    {"sendTransaction", http::Method::kPut, "/_matrix/federation/v1/send/{txnId}", send,
     in_parts()},
};

}  // namespace

void add_transaction_routes(http::Router& router, Api& api) {
  add_operations(router, api, kTransactionsOperations);
}

}  // namespace polder::federation_server
