// Uploads, at once and later.
#include "media/api/testing/api.h"

namespace polder::media_api {
namespace {

class UploadTest : public MediaApiTest {};

TEST_F(UploadTest, TheLimitIsToldAndKept) {
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

TEST_F(UploadTest, GuestsOnlyDownload) {
  const std::string path = upload("x", "text/plain");
  EXPECT_EQ(get(download_ + path, {}, "guest").status, 200);
  for (const char* target : {"/_matrix/media/v3/upload", "/_matrix/media/v1/create"})
    EXPECT_EQ(ask({http::Method::kPost, target, {}, "x", "guest"}).errcode(),
              "M_GUEST_ACCESS_FORBIDDEN");
}

TEST_F(UploadTest, AnIdIsFilledLater) {
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

TEST_F(UploadTest, IdsToComeAreBounded) {
  for (size_t i = 0; i < media::kPendingOfUserMax; ++i)
    create();
  const Answer answer = ask({http::Method::kPost, "/_matrix/media/v1/create"});
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.errcode(), "M_LIMIT_EXCEEDED");
}

}  // namespace
}  // namespace polder::media_api
