// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync
#include "homeserver/api/client/api.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/sync/classic/sync.h"
#include "homeserver/sync/classic/tokens.h"

namespace polder::client_api {
namespace {

using http::Response;

constexpr std::string_view kPath = "/_matrix/client/v3/sync";
constexpr int64_t kTimeoutMaxMs = 60'000;

using Parse = Result<sync::Filter> (*)(const json::Object&);

Result<std::shared_ptr<const sync::Filter>> parse_filter(const Api& api, const std::string& key,
                                                         const std::string& text, Parse parse) {
  const auto object = json::parse_object(text);
  if (!object.ok()) return fail(ErrorCode::kInvalid, "The filter is not JSON");
  POLDER_TRY(sync::Filter filter, parse(*object));
  return api.sync.filters().keep(key, text.size(), std::move(filter));
}

// The parameter is an id, or a filter itself.
Task<Result<std::shared_ptr<const sync::Filter>>> filter_of(const Api& api, const Call& call) {
  std::string text(call.query("filter").value_or(""));
  if (text.empty()) text = "{}";
  const bool inline_filter = text.starts_with('{');
  const stores::UserNumber user = call.session().number;
  const std::string key = inline_filter ? text : std::to_string(user) + "/" + text;
  if (auto known = api.sync.filters().find(key)) co_return known;
  if (inline_filter) co_return parse_filter(api, key, text, sync::parse_filter);
  const auto stored = co_await api.account_data.filter(user, text);
  if (!stored.ok()) co_return fail(ErrorCode::kInvalid, "Unknown filter");
  co_return parse_filter(api, key, *stored, sync::parse_stored_filter);
}

// What answers the request once it is awaited, and holds of it what that takes.
using Answering = Task<Result<sync::SyncResponse>>;

Task<Result<Answering>> begin(const Api& api, const Call& call) {
  sync::SyncRequest request;
  request.user = call.session().user;
  request.number = call.session().number;
  request.device = call.session().device;
  request.session = call.session().token;
  request.since = call.query("since").value_or("");
  const kit::Query query = call.query();
  POLDER_CO_TRY(request.full_state, query.boolean_or("full_state", false));
  POLDER_CO_TRY(const bool stable, query.boolean_or("use_state_after", false));
  POLDER_CO_TRY(request.unstable_state_after,
                query.boolean_or("org.matrix.msc4222.use_state_after", false));
  request.use_state_after = stable || request.unstable_state_after;
  POLDER_CO_TRY(const auto timeout_ms, query.integer_or("timeout", 0, {.min = 0}));
  request.timeout = Millis(std::min(timeout_ms, kTimeoutMaxMs));
  // https://spec.matrix.org/v1.19/client-server-api/#presence: it is not kept.
  POLDER_CO_CHECK(query.one_of("set_presence", {"offline", "online", "unavailable"}));
  request.client_ended = call.exchange.client_ended;
  POLDER_CO_TRY(request.filter, co_await filter_of(api, call));
  co_return api.sync.run(std::move(request));
}

// A request of this kind waits for minutes, and there are many: they hold as little as they can.
void give_back(http::Request& request) {
  request.query = decltype(request.query)();
  request.headers = http::Headers();
  std::string().swap(request.target);  // an assignment would keep its memory
  std::string().swap(request.path);
}

Task<Result<Response>> sync(const Api& api, Call& call) {
  POLDER_CO_TRY(Answering answering, co_await begin(api, call));
  give_back(call.exchange.request);
  POLDER_CO_TRY(sync::SyncResponse answer, co_await std::move(answering));
  Response response = Response::json(200, std::move(answer.text));
  if (answer.more)
    response.stream = kit::streamed(api.runtime.log(), kPath, std::move(answer.more));
  co_return response;
}

constexpr Operation kSyncOperations[] = {{"sync", http::Method::kGet, kPath, sync}};

}  // namespace

void add_sync_routes(http::Router& router, const Api& api) {
  add_operations(router, api, kSyncOperations);
}

}  // namespace polder::client_api
