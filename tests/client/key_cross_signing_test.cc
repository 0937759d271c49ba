// Keys of users, and what they sign.
#include "homeserver/server/testing/homeserver.h"
#include "homeserver/users/keys/testing/signing.h"

namespace polder::server {
namespace {

using users::CrossSigningKeys;

class CrossSigningTest : public HomeserverTest {};

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload
TEST_F(CrossSigningTest, OnlyNewCrossSigningKeysNeedThePassword) {
  const std::string alice = join_token("alice");
  const UserId user = UserId::trusted("@alice:own");
  const CrossSigningKeys keys(user), others(user);
  const auto upload = [&](json::Object body) {
    return post("/keys/device_signing/upload", alice, std::move(body));
  };
  EXPECT_EQ(upload({{"self_signing_key", keys.self_signing_key()}}).text({"errcode"}),
            "M_MISSING_PARAM");
  EXPECT_EQ(upload(keys.upload()).status, 200);
  EXPECT_EQ(upload(keys.upload()).status, 200);
  json::Object changed{
      {"master_key", keys.master_key()},
      {"self_signing_key", users::cross_signing_key(user, "self_signing", others.self_signing)}};
  for (const json::Object& body : {changed, with_password(changed, "alice")}) {
    const Answer unsigned_key = upload(body);
    EXPECT_EQ(unsigned_key.status, 400);
    EXPECT_EQ(unsigned_key.text({"errcode"}), "M_INVALID_SIGNATURE");
  }
  events::sign_json(*changed.find("self_signing_key")->as_object(), user.view(), keys.master);
  const Answer challenge = upload(changed);
  EXPECT_EQ(challenge.status, 401);
  EXPECT_NE(challenge.text({"flows"}).find("m.login.password"), std::string::npos);
  EXPECT_EQ(upload(with_password(changed, "alice")).status, 200);
  EXPECT_EQ(upload(changed).status, 200);
}

TEST_F(CrossSigningTest, AWrongSignatureIsNamedAmongTheFailures) {
  const std::string alice = join_token("alice");
  const UserId user = UserId::trusted("@alice:own");
  const std::string device =
      call("GET", "/_matrix/client/v3/account/whoami", alice).text({"device_id"});
  const auto keys = users::device_keys_of(user, users::signing_key(device));
  ASSERT_EQ(post("/keys/upload", alice, {{"device_keys", keys}}).status, 200);
  json::Object wrong = keys;
  wrong.set(
      "signatures",
      json::object({{user.str(), json::object({{"ed25519:" + device, std::string(86, 'x')}})}}));
  const Answer answer =
      post("/keys/signatures/upload", alice, {{user.str(), json::object({{device, wrong}})}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.text({"failures", user.view(), device, "errcode"}), "M_INVALID_SIGNATURE");
}

// https://spec.matrix.org/v1.19/client-server-api/#cross-signing: "user-signing keys".
TEST_F(CrossSigningTest, WhoVerifiesAUserHasToLookThemUpAgain) {
  const std::string alice = join_token("alice"), bob = join_token("bob");
  const CrossSigningKeys mine(UserId::trusted("@alice:own")), bobs(UserId::trusted("@bob:own"));
  ASSERT_EQ(post("/keys/device_signing/upload", alice, mine.upload()).status, 200);
  ASSERT_EQ(post("/keys/device_signing/upload", bob, bobs.upload()).status, 200);
  const std::string since = sync(alice).text({"next_batch"});
  const std::string bob_since = sync(bob).text({"next_batch"});
  const auto waiting =
      begin("GET", "/_matrix/client/v3/sync?timeout=60000&since=" + since, alice, "");
  simulation_->run_for(Millis(1000));
  EXPECT_FALSE(waiting->has_value());
  const json::Object signed_key = users::signed_by(bobs.master_key(), mine.user, mine.user_signing);
  const Answer uploaded =
      post("/keys/signatures/upload", alice,
           {{"@bob:own", json::object({{std::string(bobs.master.id().name()), signed_key}})}});
  EXPECT_EQ(uploaded.text({"failures"}), "{}");
  simulation_->run_for(Millis(1000));
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((*waiting)->text({"device_lists", "changed"}), R"(["@bob:own"])");
  EXPECT_EQ(sync(bob, bob_since).text({"device_lists"}), "");
}

}  // namespace
}  // namespace polder::server
