#include "media/api/common.h"

#include <charconv>

#include "homeserver/base/http/errors.h"

namespace polder::media_api {
namespace {

constexpr Millis kWaitDefault{20'000};

Task<http::Response> run(const Api& api, http::Exchange& exchange, Action action) {
  auto response = co_await action(api, exchange);
  if (response.ok()) co_return *std::move(response);
  const Error& error = response.error();
  if (error.code == ErrorCode::kInternal || error.code == ErrorCode::kCorrupt ||
      error.code == ErrorCode::kIo) {
    api.runtime.log().error("request_failed",
                            {{"route", exchange.route->path}, {"reason", error.message}});
  }
  co_return http::to_response(error);
}

}  // namespace

void add_route(http::Router& router, const Api& api, http::Route route, Action action) {
  const bool by_server = route.authentication == http::Authentication::kServer;
  route.rate = by_server ? http::RateClass::kFederation : http::RateClass::kMedia;
  route.handler = [&api, action](http::Exchange& exchange) { return run(api, exchange, action); };
  router.add(std::move(route));
}

const users::Session* session_of(const http::Exchange& exchange) {
  return static_cast<const users::Session*>(exchange.caller.get());
}

Result<MxcUri> uri_of(std::string_view server, std::string_view media_id) {
  return MxcUri::parse(std::string("mxc://").append(server).append("/").append(media_id));
}

Result<Millis> wait_of(const http::Request& request) {
  const auto text = request.query_parameter("timeout_ms");
  if (!text) return kWaitDefault;
  int64_t wait_ms = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), wait_ms);
  if (error != std::errc() || end != text->data() + text->size() || wait_ms < 0)
    return fail(ErrorCode::kInvalid, "timeout_ms is not a number of milliseconds");
  return std::min(Millis(wait_ms), media::kWaitMax);
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid
Error download_error(Error error) {
  if (error.code == ErrorCode::kTooLarge)
    return http::matrix_error(ErrorCode::kUnavailable, "M_TOO_LARGE",
                              "Content is too large to serve");
  if (error.code == ErrorCode::kTimeout)
    return http::matrix_error(ErrorCode::kTimeout, "M_NOT_YET_UPLOADED",
                              "Content has not yet been uploaded");
  return error;
}

}  // namespace polder::media_api
