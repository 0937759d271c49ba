#include "bench/load/session.h"

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/values/bytes.h"

namespace polder::load {
namespace {

// 300 rooms of 300 members are some 40 MB.
constexpr size_t kAnswerBytesMax = size_t{1} << 30;
constexpr Millis kTimeout{20 * 60'000};

Result<std::string> text_of(const json::Object& answer, std::string_view key) {
  const std::string* text = answer.find_string(key);
  if (text == nullptr) return fail(ErrorCode::kMissing, "an answer without " + std::string(key));
  return *text;
}

}  // namespace

std::string room_path(const std::string& room, std::string_view rest) {
  return "/_matrix/client/v3/rooms/" + base::percent_encode(room) + std::string(rest);
}

Result<json::Object> parse_answer(std::string_view body) {
  return json::parse_object(body, {.max_bytes = kAnswerBytesMax});
}

Task<Result<std::string>> Session::fetch(http::Method method, std::string target,
                                         std::string body) {
  http::ClientRequest request;
  request.address = target_->address;
  request.port = target_->url.port;
  request.tls = target_->url.tls;
  request.tls_name = target_->url.host;
  request.host = target_->url.authority();
  request.method = method;
  request.target = target;
  request.timeout = kTimeout;
  request.body_max = kAnswerBytesMax;
  if (!token_.empty()) request.headers.add("Authorization", "Bearer " + token_);
  if (!body.empty()) request.headers.add("Content-Type", "application/json");
  request.body = std::move(body);
  POLDER_CO_TRY(http::ClientResponse response, co_await transport_->send(std::move(request)));
  if (response.status != 200) {
    co_return fail(response.status == 429 ? ErrorCode::kRateLimited : ErrorCode::kInternal,
                   target + ": " + std::to_string(response.status) + " " + response.body);
  }
  co_return std::move(response.body);
}

Task<Result<json::Object>> Session::call(http::Method method, std::string target,
                                         std::string body) {
  POLDER_CO_TRY(const std::string answer,
                co_await fetch(method, std::move(target), std::move(body)));
  co_return parse_answer(answer);
}

Task<Status> Session::register_user(std::string name) {
  const std::string body =
      json::write(json::Object{{"username", name},
                               {"password", "a password of " + name},
                               {"auth", json::object({{"type", "m.login.dummy"}})}});
  POLDER_CO_TRY(const json::Object answer,
                co_await call(http::Method::kPost, "/_matrix/client/v3/register", body));
  POLDER_CO_TRY(token_, text_of(answer, "access_token"));
  POLDER_CO_TRY(user_id_, text_of(answer, "user_id"));
  co_return Status();
}

Task<Result<std::string>> Session::create_room() {
  POLDER_CO_TRY(const json::Object answer,
                co_await call(http::Method::kPost, "/_matrix/client/v3/createRoom",
                              R"({"preset":"public_chat"})"));
  co_return text_of(answer, "room_id");
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3joinroomidoralias
Task<Status> Session::join(std::string room, std::string via) {
  std::string target = "/_matrix/client/v3/join/" + base::percent_encode(room);
  // server_name is what it was called before version 1.12.
  const std::string server = base::percent_encode(via);
  if (!via.empty()) target += "?via=" + server + "&server_name=" + server;
  POLDER_CO_CHECK(co_await call(http::Method::kPost, std::move(target), "{}"));
  co_return Status();
}

Task<Result<std::string>> Session::send(std::string room, std::string transaction,
                                        std::string text) {
  const std::string body = json::write(json::Object{{"msgtype", "m.text"}, {"body", text}});
  POLDER_CO_TRY(const json::Object answer,
                co_await call(http::Method::kPut,
                              room_path(room, "/send/m.room.message/" + transaction), body));
  co_return text_of(answer, "event_id");
}

}  // namespace polder::load
