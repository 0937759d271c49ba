// Downloads by clients.
#include "media/api/testing/api.h"

namespace polder::media_api {
namespace {

class DownloadTest : public MediaApiTest {};

TEST_F(DownloadTest, AnUploadIsDownloadedWithItsHeaders) {
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

TEST_F(DownloadTest, WhatCouldRunInABrowserIsAnAttachment) {
  for (const char* type : {"text/html", "image/svg+xml", "application/xhtml+xml", ""}) {
    const Answer answer = get(download_ + upload("<script>", type));
    EXPECT_EQ(answer.headers.find("Content-Disposition"), "attachment") << type;
  }
}

TEST_F(DownloadTest, ThePolicyIsAsked) {
  const std::string path = upload("x", "text/plain");
  refused_ = policy::Point::kDownload;
  EXPECT_EQ(get(download_ + path).errcode(), "M_FORBIDDEN");
  refused_.reset();
  EXPECT_EQ(get(download_ + path).status, 200);
}

TEST_F(DownloadTest, BadInputIsRefused) {
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
TEST_F(DownloadTest, TheOldEndpointsAreFrozenUnlessConfigured) {
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

TEST_F(DownloadTest, WhatTheClientHasIsNotSentAgain) {
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
TEST_F(DownloadTest, APartIsSentAlone) {
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

// CVE-2024-37302, CVE-2024-37303.
TEST_F(DownloadTest, OtherServersAreAskedForUsersOnly) {
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

}  // namespace
}  // namespace polder::media_api
