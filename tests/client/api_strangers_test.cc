// What somebody learns of a room that they are not in: nothing, not even whether it exists.
#include <gtest/gtest.h>

#include <map>

#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

constexpr std::string_view kNowhere = "!AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

class StrangersTest : public HomeserverTest {
 protected:
  // The route's path with what its parameters may be, of a room.
  static std::string filled(std::string_view path, const std::string& room,
                            const std::string& event) {
    const std::map<std::string, std::string> values = {
        {"roomId", room},
        {"roomIdOrAlias", room},
        {"eventId", event},
        {"eventType", "m.room.topic"},
        {"stateKey", "x"},
        {"txnId", "t"},
        {"userId", "@eve:own"},
        {"relType", "m.thread"},
        {"receiptType", "m.read"},
        {"type", "m.tag"},
        {"tag", "u.x"},
    };
    std::string target;
    while (!path.empty()) {
      const size_t open = path.find('{');
      target.append(path.substr(0, open));
      if (open == std::string_view::npos) break;
      const size_t close = path.find('}');
      const auto value = values.find(std::string(path.substr(open + 1, close - open - 1)));
      target.append(value != values.end() ? base::percent_encode(value->second) : "unknown");
      path.remove_prefix(close + 1);
    }
    return target;
  }
  // The whole answer, with the event and the room that it may repeat made the same.
  std::string answer_of(const http::Route& route, const std::string& token, const std::string& room,
                        const std::string& event) {
    std::string target = filled(route.path, room, event) + "?dir=b&ts=1&limit=5";
    const Answer answer =
        call(std::string(http::to_string(route.method)), std::move(target), token,
             R"({"user_id":"@alice:own","typing":false,"m.fully_read":")" + event + R"("})");
    return std::to_string(answer.status) + " " + json::write(answer.body);
  }
};

TEST_F(StrangersTest, AreToldTheSameOfARoomThatExistsAndOfOneThatDoesNot) {
  const std::string alice = join_token("alice");
  const std::string eve = join_token("eve");
  const std::string room = create_room(alice);
  const std::string event = say(alice, room, "secret", "a").text({"event_id"});
  const std::string left = create_room(alice);
  ASSERT_EQ(call("POST", rooms(left, "/leave"), alice, "{}").status, 200);
  const std::string nowhere(kNowhere);
  size_t routes = 0;
  for (const http::Route* route : homeserver_->router().routes()) {
    const bool of_a_room = route->path.find("{roomId") != std::string_view::npos;
    if (!of_a_room || !route->path.starts_with("/_matrix/client/")) continue;
    ++routes;
    const std::string expected = answer_of(*route, eve, nowhere, event);
    EXPECT_EQ(answer_of(*route, eve, room, event), expected)
        << http::to_string(route->method) << " " << route->path;
    EXPECT_EQ(answer_of(*route, eve, left, event), expected)
        << http::to_string(route->method) << " " << route->path << ", nobody is in it";
    EXPECT_TRUE(expected.starts_with("403 ") || expected.starts_with("404 "))
        << route->path << " " << expected;
  }
  EXPECT_GT(routes, 25u);
}

}  // namespace
}  // namespace polder::server
