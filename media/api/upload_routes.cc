// Uploads, at once or to an id that was created before, and what clients are told of the limits.
#include <charconv>

#include "homeserver/base/http/errors.h"
#include "homeserver/base/json/write.h"
#include "media/api/common.h"

namespace polder::media_api {
namespace {

using http::Authentication;
using http::Exchange;
using http::Method;
using http::Resource;
using http::Response;

constexpr size_t kCreateBodyMax = 16 * 1024;

class EmptyBody final : public http::BodySource {
 public:
  Task<Result<std::optional<std::string>>> next() override {
    co_return std::optional<std::string>();
  }
};

http::Response ok_json(const json::Object& object) {
  return Response::json(200, json::write(object));
}

Error too_large(uint64_t bytes_max) {
  return fail(ErrorCode::kTooLarge,
              "Cannot upload files larger than " + std::to_string(bytes_max) + " bytes");
}

// What can be said before the body is read.
// https://spec.matrix.org/v1.19/client-server-api/#guest-access: guests only download.
Status may_upload(const Api& api, const Exchange& exchange) {
  if (session_of(exchange)->guest)
    return http::matrix_error(ErrorCode::kForbidden, "M_GUEST_ACCESS_FORBIDDEN",
                              "Guests cannot upload");
  const uint64_t bytes_max = api.library.parts().limits.upload_bytes_max;
  const std::string_view length = exchange.request.headers.find("Content-Length");
  uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bytes);
  if (error == std::errc::result_out_of_range || bytes > bytes_max) return too_large(bytes_max);
  return {};
}

Result<media::Description> description_of(const http::Request& request) {
  return media::describe(request.headers.find("Content-Type"),
                         request.query_parameter("filename").value_or(std::string_view()));
}

Error upload_error(const Api& api, Error error) {
  if (error.code == ErrorCode::kTooLarge)
    return too_large(api.library.parts().limits.upload_bytes_max);
  if (error.code == ErrorCode::kExists)
    return http::matrix_error(ErrorCode::kExists, "M_CANNOT_OVERWRITE_MEDIA", error.message);
  return error;
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav3upload
Task<Result<Response>> upload(const Api& api, Exchange& exchange) {
  POLDER_CO_CHECK(may_upload(api, exchange));
  POLDER_CO_TRY(auto what, description_of(exchange.request));
  EmptyBody empty;
  http::BodySource* body = exchange.request.body_stream;
  const auto uri = co_await api.library.upload(session_of(exchange)->number, std::move(what),
                                               body != nullptr ? *body : empty);
  if (!uri.ok()) co_return upload_error(api, uri.error());
  co_return ok_json({{"content_uri", uri->str()}});
}

// https://spec.matrix.org/v1.19/client-server-api/#put_matrixmediav3uploadservernamemediaid
Task<Result<Response>> upload_to(const Api& api, Exchange& exchange) {
  POLDER_CO_CHECK(may_upload(api, exchange));
  POLDER_CO_TRY(auto uri, uri_of(exchange.request.path_parameter("serverName"),
                                 exchange.request.path_parameter("mediaId")));
  POLDER_CO_TRY(auto what, description_of(exchange.request));
  EmptyBody empty;
  http::BodySource* body = exchange.request.body_stream;
  const Status stored =
      co_await api.library.upload_to(session_of(exchange)->number, std::move(uri), std::move(what),
                                     body != nullptr ? *body : empty);
  if (!stored.ok()) co_return upload_error(api, stored.error());
  co_return ok_json({});
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav1create
Task<Result<Response>> create(const Api& api, Exchange& exchange) {
  POLDER_CO_CHECK(may_upload(api, exchange));
  POLDER_CO_TRY(const auto created, co_await api.library.create(session_of(exchange)->number));
  co_return ok_json(
      {{"content_uri", created.uri.str()}, {"unused_expires_at", created.expires_ms}});
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediaconfig
Task<Result<Response>> config(const Api& api, Exchange&) {
  co_return ok_json(
      {{"m.upload.size", static_cast<int64_t>(api.library.parts().limits.upload_bytes_max)}});
}

}  // namespace

void add_upload_routes(http::Router& router, const Api& api) {
  const auto add = [&](Method method, std::string_view path, Action action, bool streams = false) {
    http::Route route;
    route.method = method;
    route.path = path;
    route.authentication = Authentication::kAccessToken;
    route.resource = Resource::kMedia;
    route.streams = streams;
    // The router reads what is not streamed.
    route.body_max = method == Method::kGet || streams ? 0 : kCreateBodyMax;
    add_route(router, api, std::move(route), action);
  };
  add(Method::kPost, "/_matrix/media/v3/upload", upload, true);
  add(Method::kPut, "/_matrix/media/v3/upload/{serverName}/{mediaId}", upload_to, true);
  add(Method::kPost, "/_matrix/media/v1/create", create);
  add(Method::kGet, "/_matrix/client/v1/media/config", config);
  add(Method::kGet, "/_matrix/media/v3/config", config);
}

}  // namespace polder::media_api
