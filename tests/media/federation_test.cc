// Downloads by other servers.
#include "media/api/testing/api.h"

#include "federation/wire/multipart.h"

namespace polder::media_api {
namespace {

class FederationTest : public MediaApiTest {};

TEST_F(FederationTest, OtherServersGetTwoParts) {
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

}  // namespace
}  // namespace polder::media_api
