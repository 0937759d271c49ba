// A client of a whole homeserver without a network between them: for tests.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "homeserver/base/http/router.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"

namespace polder::server {

struct ClientCall {
  std::string method;
  std::string target;
  std::string token = {};
  std::string body = {};
  std::string address = {};                  // of the client
  std::function<bool()> ended = {};          // whether the client has gone
  std::function<Task<void>()> leaving = {};  // of the answer: takes as long as it does
};

struct Answer {
  int status = 0;                // 0: none, because the server ended first
  std::string retry_after = {};  // the header
  json::Value body;

  // What stands at the path: a string as it is, anything else as JSON; empty if nothing is there.
  std::string text(std::initializer_list<std::string_view> path) const {
    const json::Value* value =
        body.as_object() != nullptr ? json::at(*body.as_object(), path) : nullptr;
    return value == nullptr                ? ""
           : value->as_string() != nullptr ? *value->as_string()
                                           : json::write(*value);
  }
};

// A request's body, in one piece.
class WholeBody final : public http::BodySource {
 public:
  explicit WholeBody(std::string text) : text_(std::move(text)) {}
  Task<Result<std::optional<std::string>>> next() override {
    if (text_.empty()) co_return std::optional<std::string>();
    co_return std::optional(std::exchange(text_, {}));
  }

 private:
  std::string text_;
};

// All of a response's body.
inline Task<std::string> body_of(http::Response& response) {
  std::string text;
  for (const http::Slice& slice : response.body)
    text.append(slice.bytes);
  while (response.stream) {
    auto piece = co_await response.stream->next();
    if (!piece.ok() || !*piece) break;
    text.append(**piece);
  }
  co_return text;
}

// On the server's shard; the router outlives the task. An answer that is no JSON is a bug.
inline Task<Answer> ask(const http::Router& router, ClientCall call) {
  http::Exchange exchange;
  exchange.served.set();
  exchange.request.method = http::method_from(call.method);
  Answer answer;
  if (!http::parse_target(call.target, exchange.request).ok()) {
    answer.status = 400;
    co_return answer;
  }
  WholeBody body(std::move(call.body));
  exchange.request.body_stream = &body;
  exchange.client_ended = std::move(call.ended);
  exchange.request.remote_address = std::move(call.address);
  if (!call.token.empty()) exchange.request.headers.add("Authorization", "Bearer " + call.token);
  http::Response response = co_await router.handle(exchange);
  const std::string text = co_await body_of(response);
  if (call.leaving) co_await call.leaving();
  if (exchange.answered) exchange.answered();
  answer.status = response.status;
  answer.retry_after = response.headers.find("Retry-After");
  if (!text.empty()) answer.body = *json::parse(text, {.max_bytes = 64 << 20});
  co_return answer;
}

}  // namespace polder::server
