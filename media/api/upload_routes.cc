// Uploads, at once or to an id that was created before, and what clients are told of the limits.
#include "media/api/common.h"

namespace polder::media_api {
namespace {

using http::Method;
using http::Response;
using kit::ok_json;

class EmptyBody final : public http::BodySource {
 public:
  Task<Result<std::optional<std::string>>> next() override {
    co_return std::optional<std::string>();
  }
};

Error too_large(uint64_t bytes_max) {
  return fail(ErrorCode::kTooLarge,
              "Cannot upload files larger than " + std::to_string(bytes_max) + " bytes");
}

// What can be said before the body is read.
Status may_upload(const Api& api, const Call& call) {
  POLDER_CHECK(ask_as_client(api, {.point = policy::Point::kUpload}, &call.session()));
  const uint64_t bytes_max = api.library.parts().limits.upload_bytes_max;
  if (call.request().body_length().value_or(0) > bytes_max) return too_large(bytes_max);
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
    return fail(ErrorCode::kExists, "M_CANNOT_OVERWRITE_MEDIA", error.message);
  return error;
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav3upload
Task<Result<Response>> upload(const Api& api, Call& call) {
  POLDER_CO_CHECK(may_upload(api, call));
  POLDER_CO_TRY(auto what, description_of(call.request()));
  EmptyBody empty;
  http::BodySource* body = call.request().body_stream;
  const auto uri = co_await api.library.upload(call.session().number, std::move(what),
                                               body != nullptr ? *body : empty);
  if (!uri.ok()) co_return upload_error(api, uri.error());
  co_return ok_json({{"content_uri", uri->str()}});
}

// https://spec.matrix.org/v1.19/client-server-api/#put_matrixmediav3uploadservernamemediaid
Task<Result<Response>> upload_to(const Api& api, Call& call) {
  POLDER_CO_CHECK(may_upload(api, call));
  POLDER_CO_TRY(auto uri, uri_of(call.path("serverName"), call.path("mediaId")));
  POLDER_CO_TRY(auto what, description_of(call.request()));
  EmptyBody empty;
  http::BodySource* body = call.request().body_stream;
  const Status stored = co_await api.library.upload_to(
      call.session().number, std::move(uri), std::move(what), body != nullptr ? *body : empty);
  if (!stored.ok()) co_return upload_error(api, stored.error());
  co_return ok_json({});
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav1create
Task<Result<Response>> create(const Api& api, Call& call) {
  POLDER_CO_CHECK(may_upload(api, call));
  POLDER_CO_TRY(const auto created, co_await api.library.create(call.session().number));
  co_return ok_json(
      {{"content_uri", created.uri.str()}, {"unused_expires_at", created.expires_ms}});
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediaconfig
Task<Result<Response>> config(const Api& api, Call&) {
  co_return ok_json(
      {{"m.upload.size", static_cast<int64_t>(api.library.parts().limits.upload_bytes_max)}});
}

constexpr kit::Terms kStream{.rate = http::RateClass::kMedia, .body = http::Body::kStream};
constexpr kit::Terms kAsk{.rate = http::RateClass::kMedia};
constexpr Operation kUploadOperations[] = {
    {"uploadContent", Method::kPost, "/_matrix/media/v3/upload", upload, kStream},
    {"uploadContentToMXC", Method::kPut, "/_matrix/media/v3/upload/{serverName}/{mediaId}",
     upload_to, kStream},
    {"createContent", Method::kPost, "/_matrix/media/v1/create", create, kAsk},
    {"getConfigAuthed", Method::kGet, "/_matrix/client/v1/media/config", config, kAsk},
    {"getConfig", Method::kGet, "/_matrix/media/v3/config", config, kAsk},
};

}  // namespace

void add_upload_routes(http::Router& router, const Api& api) {
  kit::add_operations(router, api.runtime, api, std::span<const Operation>(kUploadOperations));
}

}  // namespace polder::media_api
