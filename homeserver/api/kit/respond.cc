#include "homeserver/api/kit/respond.h"

#include "homeserver/base/json/write.h"

namespace polder::kit {
namespace {

class Streamed final : public http::BodySource {
 public:
  Streamed(Log& log, std::string_view route, More more)
      : log_(log), route_(route), more_(std::move(more)) {}

  Task<Result<std::optional<std::string>>> next() override {
    auto piece = co_await more_();
    if (!piece.ok())
      log_.error("request_failed", {{"route", route_}, {"reason", piece.error().message}});
    co_return piece;
  }

 private:
  Log& log_;
  const std::string_view route_;
  const More more_;
};

}  // namespace

http::Response ok_json(const json::Object& object) {
  return http::Response::json(200, json::write(object));
}

http::Response empty_json() {
  return http::Response::json(200, "{}");
}

std::unique_ptr<http::BodySource> streamed(Log& log, std::string_view route, More more) {
  return std::make_unique<Streamed>(log, route, std::move(more));
}

}  // namespace polder::kit
