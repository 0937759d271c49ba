// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync
#include <charconv>

#include "homeserver/api/client/api.h"
#include "homeserver/base/json/parse.h"

namespace polder::client_api {
namespace {

using http::Method;
using http::Response;

constexpr std::string_view kPath = "/_matrix/client/v3/sync";
constexpr int64_t kTimeoutMaxMs = 60'000;

class RestOfResponse final : public http::BodySource {
 public:
  using More = decltype(sync::SyncResponse::more);
  RestOfResponse(Log& log, More more) : log_(log), more_(std::move(more)) {}

  // After an error the response ends where no client takes it for whole.
  Task<Result<std::optional<std::string>>> next() override {
    auto piece = co_await more_();
    if (!piece.ok())
      log_.error("request_failed", {{"route", kPath}, {"reason", piece.error().message}});
    co_return piece;
  }

 private:
  Log& log_;
  const More more_;
};

Task<Result<json::Object>> filter_of(const Api& api, const Call& call) {
  const std::string text(call.query("filter").value_or(""));
  if (text.empty()) co_return json::Object();
  // The parameter is an id, or a filter itself.
  if (text.starts_with('{')) {
    auto parsed = json::parse_object(text);
    if (!parsed.ok())
      co_return matrix_error(ErrorCode::kInvalid, "M_INVALID_PARAM", "The filter is not JSON");
    co_return parsed;
  }
  const auto stored = co_await api.account_data.filter(call.session().number, text);
  if (!stored.ok())
    co_return matrix_error(ErrorCode::kInvalid, "M_INVALID_PARAM", "Unknown filter");
  co_return json::parse_object(*stored);
}

Task<Result<Response>> sync(const Api& api, Call& call) {
  sync::SyncRequest request;
  request.user = call.session().user;
  request.number = call.session().number;
  request.device = call.session().device;
  request.since = call.query("since").value_or("");
  request.full_state = call.query("full_state") == "true";
  request.use_state_after = call.query("use_state_after") == "true" ||
                            call.query("org.matrix.msc4222.use_state_after") == "true";
  request.unstable_state_after = call.query("org.matrix.msc4222.use_state_after") == "true";
  if (const auto timeout = call.query("timeout")) {
    int64_t value = 0;
    const auto [end, error] =
        std::from_chars(timeout->data(), timeout->data() + timeout->size(), value);
    if (error != std::errc() || end != timeout->data() + timeout->size() || value < 0)
      co_return fail(ErrorCode::kInvalid, "timeout must be a number");
    request.timeout = Millis(std::min(value, kTimeoutMaxMs));
  }
  POLDER_CO_TRY(const json::Object filter, co_await filter_of(api, call));
  POLDER_CO_TRY(request.filter, sync::parse_filter(filter));
  POLDER_CO_TRY(sync::SyncResponse answer, co_await api.sync.run(std::move(request)));
  Response response = Response::json(200, std::move(answer.text));
  if (answer.more)
    response.stream = std::make_unique<RestOfResponse>(api.runtime.log(), std::move(answer.more));
  co_return response;
}

}  // namespace

void add_sync_routes(http::Router& router, const Api& api) {
  add_route(router, api, {Method::kGet, kPath}, sync);
}

}  // namespace polder::client_api
