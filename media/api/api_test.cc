#include "media/api/api.h"

#include "federation/transport/transport.h"
#include "federation/wire/multipart.h"
#include "homeserver/api/kit/caller.h"
#include "homeserver/base/json/parse.h"
#include "media/files/testing/library.h"

namespace polder::media_api {
namespace {

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
};

// As the layers around the handlers do: a token is a user's name; "server" is another server.
Task<http::Response> authenticate(http::Exchange& exchange, const http::Handler& next) {
  const std::string_view token = exchange.request.headers.find("Authorization");
  const auto needed = exchange.route->authentication;
  if (needed == http::Authentication::kServer && token != "server")
    co_return http::error_response(401, "M_UNAUTHORIZED", "");
  if (needed == http::Authentication::kAccessToken && token.empty())
    co_return http::error_response(401, "M_MISSING_TOKEN", "");
  if (!token.empty() && token != "server") {
    users::Session session;
    session.number = static_cast<stores::UserNumber>(token[0]);
    session.guest = token == "guest";
    exchange.caller = std::make_shared<kit::Caller>(std::move(session));
  }
  co_return co_await next(exchange);
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

class ApiTest : public testing::Test {
 protected:
  ApiTest() { serve(false); }

  void serve(bool legacy_downloads) {
    router_ = std::make_unique<http::Router>();
    api_.emplace(Api{test_.runtime(), test_.library(), remote_, legacy_downloads});
    add_upload_routes(*router_, *api_);
    add_download_routes(*router_, *api_);
    add_federation_routes(*router_, *api_);
    router_->set_around(authenticate);
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
  std::optional<Api> api_;
  std::unique_ptr<http::Router> router_;
};

TEST_F(ApiTest, AnUploadIsDownloadedWithItsHeaders) {
  const std::string path = upload("PNG", "image/png", "?filename=a%20b.png");
  const Answer answer = get(download_ + path);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "PNG");
  EXPECT_EQ(answer.headers.find("Content-Type"), "image/png");
  EXPECT_EQ(answer.headers.find("Content-Disposition"), "inline; filename=\"a b.png\"");
  EXPECT_TRUE(answer.headers.find("Content-Security-Policy").starts_with("sandbox;"));
  EXPECT_EQ(answer.headers.find("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(answer.headers.find("Cross-Origin-Resource-Policy"), "cross-origin");
  EXPECT_TRUE(answer.headers.find("Cache-Control").starts_with("private"));
  EXPECT_EQ(get(download_ + path + "/other%F0%9F%90%94").headers.find("Content-Disposition"),
            "inline; filename*=UTF-8''other%F0%9F%90%94");
}

TEST_F(ApiTest, WhatCouldRunInABrowserIsAnAttachment) {
  for (const char* type : {"text/html", "image/svg+xml", "application/xhtml+xml", ""}) {
    const Answer answer = get(download_ + upload("<script>", type));
    EXPECT_EQ(answer.headers.find("Content-Disposition"), "attachment") << type;
  }
}

TEST_F(ApiTest, NothingIsServedWithoutToken) {
  const std::string path = upload("x", "text/plain");
  for (const std::string& target :
       {download_ + path, federation_ + path.substr(12),
        std::string("/_matrix/client/v1/media/config"), std::string("/_matrix/media/v3/config")})
    EXPECT_EQ(get(target, {}, "").status, 401) << target;
  EXPECT_EQ(ask({http::Method::kPost, "/_matrix/media/v3/upload", {}, "x", ""}).status, 401);
  EXPECT_EQ(ask({http::Method::kPost, "/_matrix/media/v1/create", {}, "", ""}).status, 401);
}

TEST_F(ApiTest, TheLimitIsToldAndKept) {
  for (const char* target : {"/_matrix/client/v1/media/config", "/_matrix/media/v3/config"})
    EXPECT_EQ(get(target).body, R"({"m.upload.size":1000})");
  const std::string large(1001, 'x');
  Answer answer = ask({http::Method::kPost, "/_matrix/media/v3/upload", {}, large});
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.errcode(), "M_TOO_LARGE");
  EXPECT_NE(answer.body.find("1000"), std::string::npos);
  for (const char* length : {"1001", "99999999999999999999"}) {
    answer = ask({http::Method::kPost, "/_matrix/media/v3/upload", {{"Content-Length", length}}});
    EXPECT_EQ(answer.errcode(), "M_TOO_LARGE");
  }
  upload(large.substr(1), "");
  upload(large.substr(2), "");
  answer = ask({http::Method::kPost, "/_matrix/media/v3/upload", {}, "xx"});
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.errcode(), "M_FORBIDDEN");
}

TEST_F(ApiTest, GuestsOnlyDownload) {
  const std::string path = upload("x", "text/plain");
  EXPECT_EQ(get(download_ + path, {}, "guest").status, 200);
  for (const char* target : {"/_matrix/media/v3/upload", "/_matrix/media/v1/create"})
    EXPECT_EQ(ask({http::Method::kPost, target, {}, "x", "guest"}).errcode(),
              "M_GUEST_ACCESS_FORBIDDEN");
}

TEST_F(ApiTest, AnIdIsFilledLater) {
  const std::string path = create();
  const auto put = [&](const std::string& where, const std::string& token) {
    return ask({http::Method::kPut, "/_matrix/media/v3/upload/" + where, {}, "late", token});
  };
  for (const Answer& early : {get(download_ + path + "?timeout_ms=0"),
                              get(federation_ + path.substr(12) + "?timeout_ms=0", {}, "server")}) {
    EXPECT_EQ(early.status, 504);
    EXPECT_EQ(early.errcode(), "M_NOT_YET_UPLOADED");
  }
  EXPECT_EQ(put(path, "bob").errcode(), "M_FORBIDDEN");
  EXPECT_EQ(put("own.example/unknown", "alice").errcode(), "M_NOT_FOUND");
  EXPECT_EQ(put("other.example/unknown", "alice").errcode(), "M_NOT_FOUND");
  const Answer answer = put(path, "alice");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "{}");
  const Answer again = put(path, "alice");
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(again.errcode(), "M_CANNOT_OVERWRITE_MEDIA");
  EXPECT_EQ(get(download_ + path).body, "late");
}

TEST_F(ApiTest, IdsToComeAreBounded) {
  for (size_t i = 0; i < media::kPendingOfUserMax; ++i)
    create();
  const Answer answer = ask({http::Method::kPost, "/_matrix/media/v1/create"});
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.errcode(), "M_LIMIT_EXCEEDED");
}

// CVE-2021-41281, and whatever else is no media id.
TEST_F(ApiTest, NoPathLeadsOutOfTheStore) {
  for (const char* path :
       {"own.example/..%2f..%2fsigning.key", "own.example/%2e%2e", "own.example/a%00b",
        "own.example/a.b", "..%2f..%2fetc/passwd", "own.example%2f../x", "a%20b/x", "/x",
        "127.0.0.1%2f..%2f..%2fx/y", "own.example/%c3%a9", "own.example/%ff"}) {
    for (const std::string& prefix : {download_, legacy_}) {
      const int status = get(prefix + path).status;
      EXPECT_TRUE(status == 400 || status == 404) << prefix << path << " " << status;
    }
    EXPECT_GE(
        ask({http::Method::kPut, std::string("/_matrix/media/v3/upload/") + path, {}, "x"}).status,
        400)
        << path;
  }
  EXPECT_EQ(get(federation_ + "..%2f..%2fsigning.key", {}, "server").status, 400);
  EXPECT_EQ(servers_.calls, 0u);
  EXPECT_EQ(test_.files(), 0u);
}

TEST_F(ApiTest, BadInputIsRefused) {
  const std::string path = upload("x", "text/plain");
  for (const char* timeout : {"-1", "x", "", "1e3", "99999999999999999999"})
    EXPECT_EQ(get(download_ + path + "?timeout_ms=" + timeout).status, 400) << timeout;
  EXPECT_EQ(get(download_ + "own.example/unknown").errcode(), "M_NOT_FOUND");
  EXPECT_EQ(get(download_ + path + "/" + std::string(1001, 'x')).status, 400);
  const auto post = [&](const std::string& query, const std::string& type) {
    return ask({http::Method::kPost,
                "/_matrix/media/v3/upload" + query,
                {{"Content-Type", type}},
                "x"})
        .status;
  };
  EXPECT_EQ(post("?filename=%ff", "a/b"), 400);
  EXPECT_EQ(post("?filename=" + std::string(1001, 'x'), "a/b"), 400);
  EXPECT_EQ(post("", "a/b\x01"), 400);
  EXPECT_EQ(get(download_ + upload("x", "a/b", "?filename=a%0d%0aSet-Cookie:%20b"))
                .headers.find("Content-Disposition"),
            "attachment; filename=\"aSet-Cookie: b\"");
}

// https://spec.matrix.org/v1.19/client-server-api/#content-repo-client-behaviour
TEST_F(ApiTest, TheOldEndpointsAreFrozenUnlessConfigured) {
  const std::string path = upload("x", "text/plain");
  for (const char* token : {"", "alice"}) {
    const Answer answer = get(legacy_ + path, {}, token);
    EXPECT_EQ(answer.status, 404);
    EXPECT_EQ(answer.errcode(), "M_NOT_FOUND");
  }
  serve(true);
  EXPECT_EQ(get(legacy_ + path, {}, "").body, "x");
  EXPECT_EQ(get(legacy_ + path + "/y", {}, "").headers.find("Content-Disposition"),
            "inline; filename=\"y\"");
}

// CVE-2024-37302, CVE-2024-37303.
TEST_F(ApiTest, OtherServersAreAskedForUsersOnly) {
  serve(true);
  servers_.answer = std::string("theirs");
  EXPECT_EQ(get(legacy_ + "other.example/a", {}, "").errcode(), "M_NOT_FOUND");
  EXPECT_EQ(get(legacy_ + "other.example/a?allow_remote=false").errcode(), "M_NOT_FOUND");
  EXPECT_EQ(get(federation_ + "a", {}, "server").errcode(), "M_NOT_FOUND");
  EXPECT_EQ(servers_.calls, 0u);
  EXPECT_EQ(get(download_ + "other.example/a").body, "theirs");
  EXPECT_EQ(get(legacy_ + "other.example/a", {}, "").body, "theirs");
  EXPECT_EQ(servers_.calls, 1u);
  servers_.answer = fail(ErrorCode::kTooLarge, "M_TOO_LARGE: ?");
  const Answer answer = get(download_ + "other.example/b");
  EXPECT_EQ(answer.status, 502);
  EXPECT_EQ(answer.errcode(), "M_TOO_LARGE");
}

TEST_F(ApiTest, OtherServersGetTwoParts) {
  const std::string path = upload("\r\n--b\r\n", "text/html", "?filename=x");
  const Answer answer = get(federation_ + path.substr(12), {}, "server");
  ASSERT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.find("Access-Control-Allow-Origin"), "");
  const auto parts = wire::read_multipart(answer.headers.find("Content-Type"), answer.body, 2);
  ASSERT_TRUE(parts.ok());
  ASSERT_EQ(parts->size(), 2u);
  EXPECT_EQ((*parts)[0].body, "{}");
  EXPECT_EQ((*parts)[1].header("content-type"), "text/html");
  EXPECT_EQ((*parts)[1].header("content-disposition"), "attachment; filename=\"x\"");
  EXPECT_EQ((*parts)[1].body, "\r\n--b\r\n");
}

TEST_F(ApiTest, WhatTheClientHasIsNotSentAgain) {
  const std::string path = upload("0123456789", "text/plain");
  const std::string etag(get(download_ + path).headers.find("ETag"));
  for (const std::string& held : {etag, "\"x\", W/" + etag, std::string("*")}) {
    const Answer answer = get(download_ + path, {{"If-None-Match", held}});
    EXPECT_EQ(answer.status, 304) << held;
    EXPECT_EQ(answer.body, "");
  }
  EXPECT_EQ(get(download_ + path, {{"If-None-Match", "\"x\""}}).status, 200);
}

// RFC 9110, section 14.
TEST_F(ApiTest, APartIsSentAlone) {
  const std::string path = upload("0123456789", "text/plain");
  const std::string etag(get(download_ + path).headers.find("ETag"));
  struct Case {
    const char* range;
    int status;
    const char* body;
    const char* content_range;
  };
  const std::vector<Case> cases = {
      {"bytes=0-0", 206, "0", "bytes 0-0/10"},
      {"bytes=2-4", 206, "234", "bytes 2-4/10"},
      {"bytes=7-", 206, "789", "bytes 7-9/10"},
      {"bytes=-3", 206, "789", "bytes 7-9/10"},
      {"bytes=-99", 206, "0123456789", "bytes 0-9/10"},
      {"bytes=5-99999999999999999", 206, "56789", "bytes 5-9/10"},
      {"bytes=0-18446744073709551615", 206, "0123456789", "bytes 0-9/10"},
      {"bytes=10-", 416, "", "bytes */10"},
      {"bytes=-0", 416, "", "bytes */10"},
      {"bytes=4-2", 200, "0123456789", ""},
      {"bytes=0-1,3-4", 200, "0123456789", ""},
      {"bytes=a-b", 200, "0123456789", ""},
      {"bytes=-", 200, "0123456789", ""},
      {"bytes=99999999999999999999-", 200, "0123456789", ""},
      {"lines=0-1", 200, "0123456789", ""},
  };
  for (const Case& c : cases) {
    const Answer answer = get(download_ + path, {{"Range", c.range}});
    EXPECT_EQ(answer.status, c.status) << c.range;
    EXPECT_EQ(answer.body, c.body) << c.range;
    EXPECT_EQ(answer.headers.find("Content-Range"), c.content_range) << c.range;
  }
  EXPECT_EQ(get(download_ + path, {{"Range", "bytes=0-0"}, {"If-Range", etag}}).status, 206);
  EXPECT_EQ(get(download_ + path, {{"Range", "bytes=0-0"}, {"If-Range", "\"x\""}}).status, 200);
  EXPECT_EQ(get(download_ + upload("", "a/b"), {{"Range", "bytes=0-"}}).status, 416);
}

}  // namespace
}  // namespace polder::media_api
