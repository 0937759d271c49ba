// What holds for every route.
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class ApiTest : public HomeserverTest {};

TEST_F(ApiTest, BadBodiesGetTheirErrcodes) {
  const std::string token = join_token("alice");
  const std::string room = create_room(token);
  EXPECT_EQ(call("POST", "/_matrix/client/v3/login", "", "{").text({"errcode"}), "M_NOT_JSON");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/login", "", "[]").text({"errcode"}), "M_BAD_JSON");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/login", "", "{}").text({"errcode"}),
            "M_MISSING_PARAM");
  EXPECT_EQ(call("PUT", rooms(room, "/send/m.room.message/1"), token, R"({"body":1.5})")
                .text({"errcode"}),
            "M_BAD_JSON");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/createRoom", token, R"({"room_version":"99"})")
                .text({"errcode"}),
            "M_UNSUPPORTED_ROOM_VERSION");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/createRoom", token, R"({"invite":["bob"]})")
                .text({"errcode"}),
            "M_INVALID_PARAM");
  EXPECT_EQ(call("GET", "/_matrix/client/v3/nothing", token).text({"errcode"}), "M_UNRECOGNIZED");
  EXPECT_EQ(call("POST", "/_matrix/client/v3/keys/upload", token,
                 R"({"device_keys":{"user_id":"@alice:own","device_id":"x"}})")
                .text({"errcode"}),
            "M_BAD_JSON");
  EXPECT_EQ(say(token, "!no:own", "x", "1").status, 403);
}

TEST_F(ApiTest, EveryRouteIsOfTheListenersThatItsPathSays) {
  const std::vector<std::pair<std::string_view, http::Resource>> paths = {
      {"/_synapse/", http::Resource::kAdmin},
      {"/_matrix/federation/", http::Resource::kFederation},
      {"/_matrix/key/", http::Resource::kFederation},
      {"/_matrix/media/", http::Resource::kMedia},
      {"/_matrix/client/v1/media/", http::Resource::kMedia},
      {"/_matrix/client/", http::Resource::kClient},
  };
  for (const http::Route* route : homeserver_->router().routes()) {
    const auto path = std::ranges::find_if(
        paths, [&](const auto& known) { return route->path.starts_with(known.first); });
    if (path != paths.end()) EXPECT_EQ(route->resource, path->second) << route->path;
  }
  http::Exchange exchange;
  exchange.served.set();
  exchange.served.reset(static_cast<size_t>(http::Resource::kAdmin));
  exchange.request.method = http::Method::kGet;
  exchange.request.path = "/_synapse/admin/v1/register";
  int status = 0;
  runtime::spawn(*runtime_, runtime_->shard(0), "request",
                 [](const http::Router& router, http::Exchange& asked, int& got) -> Task<void> {
                   got = (co_await router.handle(asked)).status;
                 }(homeserver_->router(), exchange, status));
  EXPECT_TRUE(simulation_->run_until([&] { return status != 0; }, Millis(1000)));
  EXPECT_EQ(status, 404);
}

}  // namespace
}  // namespace polder::server
