// Downloads by other servers.
#include "federation/wire/multipart.h"
#include "media/api/common.h"

namespace polder::media_api {
namespace {

constexpr size_t kBoundaryLetters = 40;

// A file between what goes before and after it.
class FramedBody final : public http::BodySource {
 public:
  FramedBody(wire::MultipartFrame frame, std::unique_ptr<http::BodySource> file)
      : frame_(std::move(frame)), file_(std::move(file)) {}

  Task<Result<std::optional<std::string>>> next() override {
    if (!std::exchange(head_sent_, true)) co_return std::optional(std::move(frame_.head));
    if (file_) {
      auto piece = co_await file_->next();
      if (!piece.ok() || *piece) co_return piece;
      file_.reset();
      co_return std::optional(std::move(frame_.tail));
    }
    co_return std::optional<std::string>();
  }

 private:
  wire::MultipartFrame frame_;
  std::unique_ptr<http::BodySource> file_;
  bool head_sent_ = false;
};

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediadownloadmediaid
Task<Result<http::Response>> download_for_server(const Api& api, Call& call) {
  POLDER_CO_TRY(auto uri, uri_of(api.library.parts().own_name.view(), call.path("mediaId")));
  POLDER_CO_TRY(const Millis wait, wait_of(call));
  POLDER_CO_CHECK(api.ask({.point = policy::Point::kDownload, .target = uri.str()},
                          policy::Server{call.origin()}, {}));
  auto media = co_await api.library.find(std::move(uri), wait);
  if (!media.ok()) co_return download_error(std::move(media).error());
  wire::MultipartFrame frame =
      wire::frame_media(api.runtime.random().letters(kBoundaryLetters),
                        {{"Content-Type", media->content_type},
                         {"Content-Disposition",
                          media::content_disposition({media->content_type, media->file_name})}});
  http::Response response;
  response.headers.add("Content-Type", frame.content_type);
  response.stream_length = frame.head.size() + media->size + frame.tail.size();
  const uint64_t size = media->size;
  POLDER_CO_TRY(auto file, co_await api.library.read(*std::move(media), 0, size));
  response.stream = std::make_unique<FramedBody>(std::move(frame), std::move(file));
  co_return response;
}

constexpr Operation kFederationOperations[] = {
    {"getContent",
     http::Method::kGet,
     "/_matrix/federation/v1/media/download/{mediaId}",
     download_for_server,
     {.authentication = http::Authentication::kServer, .rate = http::RateClass::kFederation}},
};

}  // namespace

void add_federation_routes(http::Router& router, const Api& api) {
  kit::add_operations(router, api.runtime, api, std::span<const Operation>(kFederationOperations));
}

}  // namespace polder::media_api
