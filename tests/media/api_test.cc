// What holds for every route of media.
#include "media/api/testing/api.h"

namespace polder::media_api {
namespace {

class MediaTest : public MediaApiTest {};

TEST_F(MediaTest, NothingIsServedWithoutToken) {
  const std::string path = upload("x", "text/plain");
  for (const std::string& target :
       {download_ + path, federation_ + path.substr(12),
        std::string("/_matrix/client/v1/media/config"), std::string("/_matrix/media/v3/config")})
    EXPECT_EQ(get(target, {}, "").status, 401) << target;
  EXPECT_EQ(ask({http::Method::kPost, "/_matrix/media/v3/upload", {}, "x", ""}).status, 401);
  EXPECT_EQ(ask({http::Method::kPost, "/_matrix/media/v1/create", {}, "", ""}).status, 401);
}

// CVE-2021-41281, and whatever else is no media id.
TEST_F(MediaTest, NoPathLeadsOutOfTheStore) {
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

}  // namespace
}  // namespace polder::media_api
