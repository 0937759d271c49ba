#include "bench/load/session.h"

#include "homeserver/json/parse.h"
#include "homeserver/json/write.h"

namespace polder::load {
namespace {

constexpr size_t kAnswerBytesMax = size_t{16} << 20;

}  // namespace

Task<Result<json::Object>> Session::call(http::Method method, std::string target,
                                         std::string body) {
  http::ClientRequest request;
  request.address = target_.address;
  request.port = target_.url.port;
  request.tls = target_.url.tls;
  request.tls_name = target_.url.host;
  request.host = target_.url.authority();
  request.method = method;
  request.target = target;
  request.body_max = kAnswerBytesMax;
  if (!token_.empty()) request.headers.add("Authorization", "Bearer " + token_);
  if (!body.empty()) request.headers.add("Content-Type", "application/json");
  request.body = std::move(body);
  POLDER_CO_TRY(const http::ClientResponse response, co_await transport_.send(std::move(request)));
  if (response.status != 200) {
    co_return fail(response.status == 429 ? ErrorCode::kRateLimited : ErrorCode::kInternal,
                   target + ": " + std::to_string(response.status) + " " + response.body);
  }
  co_return json::parse_object(response.body, {.max_bytes = kAnswerBytesMax});
}

Task<Status> Session::register_user(std::string name) {
  const std::string body =
      json::write(json::Object{{"username", name},
                               {"password", "a password of " + name},
                               {"auth", json::object({{"type", "m.login.dummy"}})}});
  POLDER_CO_TRY(const json::Object answer,
                co_await call(http::Method::kPost, "/_matrix/client/v3/register", body));
  const std::string* token = answer.find_string("access_token");
  if (token == nullptr) co_return fail(ErrorCode::kMissing, "registered without an access token");
  token_ = *token;
  co_return Status();
}

}  // namespace polder::load
