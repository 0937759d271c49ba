// What a client asks before anything else.
#include "homeserver/base/crypto/hash.h"
#include "homeserver/server/testing/homeserver.h"

namespace polder::server {
namespace {

class ServerTest : public HomeserverTest {
 protected:
  void start_with(std::function<void(Config&)> configure) {
    configure_ = std::move(configure);
    crash();
  }
};

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientversions
TEST_F(ServerTest, VersionsAreForEverybody) {
  const Answer answer = call("GET", "/_matrix/client/versions");
  EXPECT_EQ(answer.status, 200);
  EXPECT_NE(answer.text({"versions"}).find(R"("v1.12")"), std::string::npos);
  EXPECT_EQ(call("POST", "/_matrix/client/versions", "", "{}").status, 405);
}

// https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixclient
TEST_F(ServerTest, TheBaseUrlIsToldIfItIsConfigured) {
  EXPECT_EQ(call("GET", "/.well-known/matrix/client").text({"errcode"}), "M_NOT_FOUND");
  start_with([](Config& config) { config.client.public_base_url = "https://matrix.own"; });
  EXPECT_EQ(call("GET", "/.well-known/matrix/client").text({"m.homeserver", "base_url"}),
            "https://matrix.own");
}

// https://spec.matrix.org/v1.19/server-server-api/#getwell-knownmatrixserver
TEST_F(ServerTest, OtherServersAreToldTheAddressIfItIsConfigured) {
  const Answer unset = call("GET", "/.well-known/matrix/server");
  EXPECT_EQ(unset.status, 404);
  EXPECT_EQ(unset.text({"errcode"}), "M_NOT_FOUND");
  start_with([](Config& config) { config.federation.public_address = "matrix.own:443"; });
  EXPECT_EQ(call("GET", "/.well-known/matrix/server").text({"m.server"}), "matrix.own:443");
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3capabilities
TEST_F(ServerTest, CapabilitiesAreForUsers) {
  const std::string path = "/_matrix/client/v3/capabilities";
  EXPECT_EQ(call("GET", path).text({"errcode"}), "M_MISSING_TOKEN");
  EXPECT_EQ(call("GET", path, "nonsense").text({"errcode"}), "M_UNKNOWN_TOKEN");
  const Answer answer = call("GET", path, join_token("alice"));
  EXPECT_EQ(answer.text({"capabilities", "m.change_password", "enabled"}), "true");
  EXPECT_EQ(answer.text({"capabilities", "m.room_versions", "default"}), "12");
  for (int version = 1; version <= 12; ++version) {
    EXPECT_EQ(
        answer.text({"capabilities", "m.room_versions", "available", std::to_string(version)}),
        "stable");
  }
}

// https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3voipturnserver
TEST_F(ServerTest, CredentialsForTurnAreMadeForTheUserAndATime) {
  const std::string path = "/_matrix/client/v3/voip/turnServer";
  const std::string alice = join_token("alice");
  EXPECT_EQ(call("GET", path).text({"errcode"}), "M_MISSING_TOKEN");
  EXPECT_EQ(json::write(call("GET", path, alice).body), "{}");
  start_with([](Config& config) {
    config.turn.uris = {"turn:turn.own?transport=udp"};
    config.turn.shared_secret = "turn secret";
    config.turn.ttl_s = 600;
  });
  const Answer answer = call("GET", path, alice);
  EXPECT_EQ(answer.text({"uris"}), R"(["turn:turn.own?transport=udp"])");
  EXPECT_EQ(answer.text({"ttl"}), "600");
  const std::string username = answer.text({"username"});
  EXPECT_TRUE(username.ends_with(":@alice:own")) << username;
  const int64_t until_s = std::stoll(username);
  EXPECT_GT(until_s, runtime_->clock().wall_ms() / 1000 + 500);
  EXPECT_LE(until_s, runtime_->clock().wall_ms() / 1000 + 600);
  EXPECT_EQ(answer.text({"password"}), crypto::hmac_sha1_base64("turn secret", username));
}

}  // namespace
}  // namespace polder::server
