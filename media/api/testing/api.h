// The endpoints of media over a store in memory, with one other server: for tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "federation/transport/transport.h"
#include "homeserver/api/kit/caller.h"
#include "homeserver/base/json/parse.h"
#include "media/api/api.h"
#include "media/files/testing/library.h"

namespace polder::media_api {

class OneServer final : public transport::Servers {
 public:
  Result<std::string> answer = fail(ErrorCode::kNotFound, "M_NOT_FOUND: ?");
  size_t calls = 0;
  Task<Result<http::ClientResponse>> call(ServerName, transport::Call) override {
    ++calls;
    if (!answer.ok()) co_return answer.error();
    http::ClientResponse response;
    response.headers.add("Content-Type", "multipart/mixed; boundary=b");
    response.body = "--b\r\n\r\n{}\r\n--b\r\n\r\n" + *answer + "\r\n--b--";
    co_return response;
  }
  Millis back_off(const ServerName&) const override { return Millis(0); }
  void heard_from(const ServerName&) override {}
};

class NoEgress final : public egress::Egress {
 public:
  Task<Result<http::ClientResponse>> send(egress::EgressRequest) override {
    co_return fail(ErrorCode::kForbidden, "no way out");
  }
  Task<Result<egress::Services>> services(std::string, egress::Demand,
                                          std::chrono::nanoseconds) override {
    co_return fail(ErrorCode::kNotFound, "no such service");
  }
};

// As the layers above do before the handlers: a token is a user's name; "server" is another server.
inline Task<std::optional<http::Response>> authenticate(http::Exchange& exchange) {
  const std::string_view token = exchange.request.headers.find("Authorization");
  const auto needed = exchange.route->authentication;
  if (needed == http::Authentication::kServer && token != "server")
    co_return http::error_response(401, "M_UNAUTHORIZED", "");
  if (needed == http::Authentication::kAccessToken && token.empty())
    co_return http::error_response(401, "M_MISSING_TOKEN", "");
  if (token == "server") {
    exchange.caller =
        std::make_shared<kit::Caller>(kit::Server{*ServerName::parse("other.example"), {}});
  } else if (!token.empty()) {
    users::Session session;
    session.number = static_cast<stores::UserNumber>(token[0]);
    session.guest = token == "guest";
    exchange.caller = std::make_shared<kit::Caller>(std::move(session));
  }
  co_return std::nullopt;
}

struct Answer {
  int status = 0;
  http::Headers headers;
  std::string body;
  json::Object object() const { return json::parse_object(body).value_or({}); }
  std::string errcode() const {
    const json::Object parsed = object();
    const std::string* code = parsed.find_string("errcode");
    return code != nullptr ? *code : "";
  }
};

struct Ask {
  http::Method method = http::Method::kGet;
  std::string target;
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};
  std::string token = "alice";
};

class MediaApiTest : public testing::Test {
 protected:
  MediaApiTest() { serve(false); }

  void serve(bool legacy_downloads) {
    router_ = std::make_unique<http::Router>();
    const policy::Ask policy = [this](const policy::Act& act, const policy::Actor& actor,
                                      const policy::Facts& facts) -> Status {
      if (refused_ == act.point) return fail(ErrorCode::kForbidden, "M_FORBIDDEN", "not here");
      return policy::to_status(policy::decide(act, actor, facts));
    };
    api_.emplace(Api{test_.runtime(), test_.library(), remote_, policy, legacy_downloads});
    add_upload_routes(*router_, *api_);
    add_download_routes(*router_, *api_);
    add_federation_routes(*router_, *api_);
    router_->set_before(authenticate);
  }
  Answer ask(Ask ask) {
    http::Exchange exchange;
    exchange.request.method = ask.method;
    EXPECT_TRUE(http::parse_target(ask.target, exchange.request).ok());
    exchange.served.set();
    for (auto& [name, value] : ask.headers)
      exchange.request.headers.add(name, value);
    if (!ask.token.empty()) exchange.request.headers.add("Authorization", ask.token);
    media::PiecesBody body(ask.body.empty() ? std::vector<std::string>()
                                            : std::vector<std::string>(1, ask.body));
    exchange.request.body_stream = &body;
    http::Response response = test_.run(router_->handle(exchange));
    Answer answer{response.status, response.headers, {}};
    for (const http::Slice& slice : response.body)
      answer.body += slice.bytes;
    if (response.stream) {
      answer.body += *test_.run(http::read_all(*response.stream, 1 << 20));
      EXPECT_EQ(answer.body.size(), response.stream_length.value_or(0));
    }
    return answer;
  }
  Answer get(std::string target, std::vector<std::pair<std::string, std::string>> headers = {},
             std::string token = "alice") {
    return ask({http::Method::kGet, std::move(target), std::move(headers), {}, std::move(token)});
  }
  // The path of what was uploaded: "own.example/id".
  std::string upload(std::string body, std::string type, const std::string& query = "") {
    const Answer answer = ask({http::Method::kPost,
                               "/_matrix/media/v3/upload" + query,
                               {{"Content-Type", std::move(type)}},
                               std::move(body)});
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.object().find_string("content_uri")->substr(6);
  }
  std::string create() {
    const Answer answer = ask({http::Method::kPost, "/_matrix/media/v1/create"});
    EXPECT_EQ(answer.status, 200) << answer.body;
    const int64_t life_ms = answer.object().find_int("unused_expires_at").value_or(0) -
                            test_.simulation().clock().wall_ms();
    EXPECT_NEAR(static_cast<double>(life_ms), static_cast<double>(media::kPendingLife.count()),
                1000);
    return answer.object().find_string("content_uri")->substr(6);
  }
  static media::Limits limits() {
    media::Limits limits;
    limits.upload_bytes_max = 1000;
    limits.user_bytes_max = 2000;
    return limits;
  }

  const std::string download_ = "/_matrix/client/v1/media/download/";
  const std::string legacy_ = "/_matrix/media/v3/download/";
  const std::string federation_ = "/_matrix/federation/v1/media/download/";
  media::TestLibrary test_{limits()};
  OneServer servers_;
  NoEgress egress_;
  client::FederationClient client_{servers_};
  remote_media::RemoteMedia remote_{{test_.runtime(), client_, egress_, test_.library()}};
  std::optional<policy::Point> refused_;  // besides what the rules refuse
  std::optional<Api> api_;
  std::unique_ptr<http::Router> router_;
};

}  // namespace polder::media_api
