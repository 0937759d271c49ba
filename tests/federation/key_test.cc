// The keys of this server, and those that it vouches for.
#include "federation/server/testing/server.h"

namespace polder::federation_server {
namespace {

class KeyTest : public ServerTest {};

TEST_F(KeyTest, TheVersionNamesTheProgram) {
  const Answer answer = raw("GET", "/_matrix/federation/v1/version", "", {});
  EXPECT_EQ(answer.text(), R"({"server":{"name":"Polder","version":"1.0"}})");
}

TEST_F(KeyTest, OwnKeysSignThemselvesAndAreGoodForADay) {
  const Answer answer = raw("GET", "/_matrix/key/v2/server", "", {});
  ASSERT_EQ(answer.status, 200);
  const auto keys = wire::read_server_keys(*answer.body.as_object(), own_);
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  EXPECT_TRUE(keys->current.contains(key_.id()));
  EXPECT_EQ(keys->valid_until_ts, runtime_.clock().wall_ms() + kTestDayMs);
}

TEST_F(KeyTest, TheNotarySignsWhatOthersSaid) {
  for (const ServerName& server : {other_, own_}) {
    const Answer answer = raw("GET", path("/_matrix/key/v2/query", {server.view()}), "", {});
    ASSERT_EQ(answer.list("server_keys").size(), 1u);
    const json::Object& keys = *answer.list("server_keys")[0].as_object();
    EXPECT_TRUE(wire::read_server_keys(keys, server).ok());
    EXPECT_TRUE(events::verify_json(keys, own_.view(), key_.id(), key_.verify_key()));
  }
  EXPECT_EQ(raw("GET", path("/_matrix/key/v2/query", {"down.example"}), "", {}).text(),
            R"({"server_keys":[]})");
  EXPECT_EQ(raw("GET", path("/_matrix/key/v2/query", {"no server"}), "", {}).errcode(),
            "M_INVALID_PARAM");
  EXPECT_EQ(
      raw("GET", "/_matrix/key/v2/query/a.example?minimum_valid_until_ts=x", "", {}).errcode(),
      "M_INVALID_PARAM");
}

TEST_F(KeyTest, TheNotaryAnswersManyQuestionsAtOnce) {
  const auto ask = [&](std::string body) {
    return raw("POST", "/_matrix/key/v2/query", std::move(body), {});
  };
  const Answer answer = ask(
      R"({"server_keys":{"other.example":{},"third.example":{"ed25519:3":{"minimum_valid_until_ts":5}},"down.example":{}}})");
  EXPECT_EQ(answer.list("server_keys").size(), 2u);
  EXPECT_EQ(ask(R"({"server_keys":{}})").text(), R"({"server_keys":[]})");
  EXPECT_EQ(ask("{").errcode(), "M_NOT_JSON");
  EXPECT_EQ(ask("{}").errcode(), "M_MISSING_PARAM");
  EXPECT_EQ(ask(R"({"server_keys":{"no server":{}}})").errcode(), "M_INVALID_PARAM");
  EXPECT_EQ(ask(R"({"server_keys":{"a.example":[]}})").errcode(), "M_BAD_JSON");
  json::Object many;
  for (int i = 0; i < 101; ++i)
    many.set("s" + std::to_string(i) + ".example", json::Object());
  EXPECT_EQ(ask(json::write(json::Object{{"server_keys", std::move(many)}})).errcode(),
            "M_TOO_LARGE");
}

}  // namespace
}  // namespace polder::federation_server
