// Downloads by clients: with a token, and, where the configuration still has it, without.
#include "homeserver/base/values/bytes.h"
#include "media/api/common.h"
#include "media/api/conditions.h"

namespace polder::media_api {
namespace {

using http::Authentication;
using http::Method;
using http::Response;

// https://spec.matrix.org/v1.19/client-server-api/#content-repository: nothing that a file holds
// runs in the name of this server.
void add_headers(Response& response, const stores::MediaRow& media, std::string_view etag) {
  response.headers.add("Content-Security-Policy",
                       "sandbox; default-src 'none'; script-src 'none'; plugin-types "
                       "application/pdf; style-src 'unsafe-inline'; object-src 'self';");
  response.headers.add("X-Content-Type-Options", "nosniff");
  response.headers.add("Cross-Origin-Resource-Policy", "cross-origin");
  response.headers.add("Cache-Control", "private, max-age=86400, immutable");
  response.headers.add("ETag", std::string(etag));
  response.headers.add("Accept-Ranges", "bytes");
  response.headers.add("Content-Type", media.content_type);
  response.headers.add("Content-Disposition",
                       media::content_disposition({media.content_type, media.file_name}));
}

// A whole file, or what of it the client does not have.
Task<Result<Response>> respond(const Api& api, const http::Request& request,
                               stores::MediaRow media) {
  const std::string etag = "\"" + base::base64_encode(media.digest, base::Base64::kUrlSafe) + "\"";
  Response response;
  add_headers(response, media, etag);
  if (is_unchanged(request.headers, etag)) {
    response.status = 304;
    co_return response;
  }
  const Wanted wanted = wanted_range(request.headers, etag, media.size);
  const std::string size = std::to_string(media.size);
  if (wanted.kind == RangeKind::kUnsatisfiable) {
    response.status = 416;
    response.headers.add("Content-Range", "bytes */" + size);
    co_return response;
  }
  const Range range = wanted.range;
  if (wanted.kind == RangeKind::kPart) {
    response.status = 206;
    response.headers.add("Content-Range", "bytes " + std::to_string(range.first) + "-" +
                                              std::to_string(range.first + range.length - 1) + "/" +
                                              size);
  }
  POLDER_CO_TRY(response.stream,
                co_await api.library.read(std::move(media), range.first, range.length));
  response.stream_length = range.length;
  co_return response;
}

// Other servers are asked for users only: what anybody may cause to be fetched fills the disk, and
// has this server spread it (CVE-2024-37302, CVE-2024-37303).
Task<Result<stores::MediaRow>> find(const Api& api, const Call& call, MxcUri uri, Millis wait,
                                    bool may_ask) {
  const users::Session* session = call.session_if_any();
  if (api.library.is_own(uri) || session == nullptr || !may_ask)
    return api.library.find(std::move(uri), wait);
  return api.remote.find(std::move(uri), session->number, wait);
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid
Task<Result<Response>> download(const Api& api, Call& call) {
  POLDER_CO_TRY(auto uri, uri_of(call.path("serverName"), call.path("mediaId")));
  POLDER_CO_TRY(const Millis wait, wait_of(call));
  POLDER_CO_TRY(const bool may_ask, call.query().boolean_or("allow_remote", true));
  POLDER_CO_CHECK(call.query().boolean_or("allow_redirect", false));
  POLDER_CO_TRY(const auto name, media::describe("", call.path("fileName")));
  POLDER_CO_CHECK(ask_as_client(api, {.point = policy::Point::kDownload, .target = uri.str()},
                                call.session_if_any()));
  auto media = co_await find(api, call, std::move(uri), wait, may_ask);
  if (!media.ok()) co_return download_error(std::move(media).error());
  if (!name.file_name.empty()) media->file_name = name.file_name;
  co_return co_await respond(api, call.request(), *std::move(media));
}

// https://spec.matrix.org/v1.19/client-server-api/#content-repo-client-behaviour: the freeze.
Task<Result<Response>> legacy_download(const Api& api, Call& call) {
  if (!api.legacy_downloads) co_return fail(ErrorCode::kNotFound, "Media needs authentication");
  co_return co_await download(api, call);
}

constexpr kit::Terms kUser{.rate = http::RateClass::kMedia};
constexpr kit::Terms kAnybody{.authentication = Authentication::kOptionalAccessToken,
                              .rate = http::RateClass::kMedia};
constexpr Operation kDownloadOperations[] = {
    {"getContentAuthed", Method::kGet, "/_matrix/client/v1/media/download/{serverName}/{mediaId}",
     download, kUser},
    {"getContentOverrideNameAuthed", Method::kGet,
     "/_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}", download, kUser},
    {"getContent", Method::kGet, "/_matrix/media/v3/download/{serverName}/{mediaId}",
     legacy_download, kAnybody},
    {"getContentOverrideName", Method::kGet,
     "/_matrix/media/v3/download/{serverName}/{mediaId}/{fileName}", legacy_download, kAnybody},
};

}  // namespace

void add_download_routes(http::Router& router, const Api& api) {
  kit::add_operations(router, api.runtime, api, std::span<const Operation>(kDownloadOperations));
}

}  // namespace polder::media_api
