#include "homeserver/users/keys/testing/device_keys.h"

namespace polder::users {
namespace {

// CVE-2025-61672: malformed keys of a local user would be refused by every other server.
TEST_F(DeviceKeysTest, MalformedDeviceKeysAreRefused) {
  const Session alice = log_in("alice", "PHONE");
  const auto with = [&](const char* name, json::Value value) {
    json::Object keys = device_keys(alice);
    keys.set(name, std::move(value));
    return json::Object{{"device_keys", std::move(keys)}};
  };
  const auto one_time_key = [&](json::Value key) {
    return json::Object{{"one_time_keys", json::object({{"a:1", std::move(key)}})}};
  };
  const auto of_algorithms = [](int count) {
    json::Object keys;
    for (int i = 0; i < count; ++i)
      keys.set("algorithm" + std::to_string(i) + ":a", "k");
    return keys;
  };
  const std::vector<json::Object> malformed = {
      with("user_id", "@bob:own.example"),
      with("device_id", "OTHER"),
      with("algorithms", "m.olm"),
      with("algorithms", json::Array{1}),
      with("keys", json::object({{"ed25519:OTHER", "k"}})),
      with("keys", json::object({{"ed25519:PHONE", 1}})),
      with("signatures", json::object({{"@alice:own.example", "s"}})),
      with("signatures", nullptr),
      with("padding", std::string(70'000, 'x')),
      with("number", json::Number{"0.5"}),
      {{"device_keys", "text"}},
      {{"one_time_keys", json::object({{"noalgorithm", "k"}})}},
      {{"one_time_keys", json::object({{"signed_curve25519:a", json::object({{"k", "v"}})}})}},
      one_time_key(json::object({{"key", "k"}, {"n", json::Number{"1e2"}}})),
      one_time_key(json::object({{"key", "k"}, {"n", json::Number{"9007199254740992"}}})),
      one_time_key(json::object({{"key", std::string(5000, 'k')}})),
      {{"fallback_keys", json::object({{"a:1", "k"}, {"a:2", "k"}})}},
      {{"fallback_keys", of_algorithms(17)}},
      {{"one_time_keys", of_algorithms(17)}},
      with("padding", std::string(17'000, 'x')),
  };
  for (const json::Object& body : malformed)
    EXPECT_FALSE(upload(alice, body).ok()) << json::write(body).substr(0, 200);
  EXPECT_TRUE(stores::read_device_keys(*database_->snapshot(), alice.number)->empty());
  EXPECT_TRUE(upload(alice, {{"device_keys", device_keys(alice)}}).ok());
}

TEST_F(DeviceKeysTest, OtherServersSeeOnlyWhatIsTheirsToSee) {
  const Session alice = log_in("alice", "PHONE");
  const std::string foreign = ",'@mallory:b.example':{'ed25519:X':'s'}";
  ASSERT_TRUE(upload(alice, {{"device_keys", device_keys(alice, foreign)}}).ok());
  const CrossSigningKeys signing = upload_signing_keys(alice);
  const UserId bob = UserId::trusted("@bob:b.example");
  json::Object seen = *run(keys_->query_for_server({{alice.user, {}}, {bob, {}}}));
  EXPECT_EQ(seen.find_object("device_keys")->size(), 1u);
  EXPECT_FALSE(seen.contains("user_signing_keys"));
  const json::Object& master = *seen.find_object("master_keys")->find_object(alice.user.view());
  EXPECT_EQ(master, signing.master_key());
  json::Object expected = device_keys(alice);
  expected.set("unsigned", json::object({{"device_display_name", "phone of alice"}}));
  EXPECT_EQ(*seen.find_object("device_keys")->find_object(alice.user.view())->find_object("PHONE"),
            expected);
  seen = *run(nameless_->query_for_server({{alice.user, {"PHONE"}}}));
  EXPECT_EQ(*seen.find_object("device_keys")->find_object(alice.user.view())->find_object("PHONE"),
            device_keys(alice));
  seen = *run(keys_->query_for_server({{alice.user, {"OTHER"}}}));
  EXPECT_TRUE(seen.find_object("device_keys")->find_object(alice.user.view())->empty());
}

// CVE-2023-43796: what is known of another server's user is told to nobody, and who is unknown
// looks like who has no devices.
TEST_F(DeviceKeysTest, DevicesOfAUserComeWithTheirPlaceInTheSequence) {
  const Session alice = log_in("alice", "PHONE");
  const auto devices = [&](const char* user) {
    return run(keys_->devices_for_server(UserId::trusted(user)));
  };
  EXPECT_EQ(devices("@bob:b.example").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(*devices("@nobody:own.example"),
            parsed("{'user_id':'@nobody:own.example','stream_id':0,'devices':[]}"));
  ASSERT_TRUE(upload(alice, {{"device_keys", device_keys(alice)}}).ok());
  upload_signing_keys(alice);
  const json::Object told = *devices("@alice:own.example");
  const auto log =
      *stores::read_device_list_log(*database_->snapshot(), 0, committer_->visible(), 100);
  ASSERT_EQ(log.size(), 2u);
  EXPECT_EQ(log[0].device, alice.device);
  EXPECT_TRUE(log[1].device.empty());
  EXPECT_EQ(told.find_int("stream_id"), static_cast<int64_t>(log[0].position));
  const json::Object& device = *told.find_array("devices")->at(0).as_object();
  EXPECT_EQ(*device.find_object("keys"), device_keys(alice));
  EXPECT_EQ(*device.find_string("device_display_name"), "phone of alice");
  EXPECT_TRUE(told.contains("master_key") && told.contains("self_signing_key"));
  EXPECT_FALSE(told.contains("user_signing_key"));
}

// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim
TEST_F(DeviceKeysTest, OneTimeKeysAreGivenInTheOrderOfTheirUpload) {
  const Session alice = log_in("alice", "PHONE");
  const auto give = [&](const char* names) {
    json::Object keys;
    for (const char* name = names; *name != 0; ++name)
      keys.set(std::string("signed_curve25519:") + *name,
               json::object({{"key", std::string(1, *name)}}));
    EXPECT_TRUE(upload(alice, {{"one_time_keys", std::move(keys)}}).ok());
  };
  const auto claim = [&] {
    const auto claimed = run(keys_->claim({{alice.user, alice.device, "signed_curve25519"}}));
    const json::Object* keys = claimed->find_object(alice.user.view());
    return keys == nullptr ? "" : keys->find_object("PHONE")->begin()->first.substr(18);
  };
  give("d");
  give("b");
  give("c");
  // Uploading a key again leaves it where it was.
  give("dbca");
  EXPECT_EQ(claim(), "d");
  restart();
  EXPECT_EQ(claim(), "b");
  EXPECT_EQ(claim(), "c");
  EXPECT_EQ(claim(), "a");
  EXPECT_EQ(claim(), "");
  // A key that was claimed is not taken again, nor is another with its id.
  give("da");
  EXPECT_EQ(claim(), "");
  give("e");
  EXPECT_EQ(claim(), "e");
}

// Of an upload that is repeated, as signatures of one key need not be equal.
TEST_F(DeviceKeysTest, AOneTimeKeyIsTheSameWhateverItsSignatures) {
  const Session alice = log_in("alice", "PHONE");
  const auto key = [&](const char* text, const char* signature) {
    return json::object(
        {{"key", text},
         {"signatures",
          json::object({{alice.user.str(), json::object({{"ed25519:PHONE", signature}})}})}});
  };
  const auto upload_key = [&](json::Value value) {
    return upload(alice,
                  {{"one_time_keys", json::object({{"signed_curve25519:a", std::move(value)}})}});
  };
  ASSERT_TRUE(upload_key(key("k", "first")).ok());
  struct Case {
    const char* what;
    json::Value key;
    bool taken;
  };
  json::Value more = key("k", "first");
  more.as_object()->set("fallback", true);
  const std::vector<Case> cases = {
      {"equal", key("k", "first"), true},
      {"signed anew", key("k", "second"), true},
      {"unsigned", json::object({{"key", "k"}}), true},
      {"another", key("l", "first"), false},
      {"with more in it", more, false},
  };
  for (const Case& c : cases) {
    const auto outcome = upload_key(c.key);
    ASSERT_EQ(outcome.ok(), c.taken) << c.what;
    if (!c.taken) EXPECT_EQ(outcome.error().code, ErrorCode::kInvalid) << c.what;
  }
  const auto claimed = run(keys_->claim({{alice.user, alice.device, "signed_curve25519"}}));
  EXPECT_EQ(*json::at(*claimed, {"@alice:own.example", "PHONE", "signed_curve25519:a", "signatures",
                                 "@alice:own.example", "ed25519:PHONE"})
                 ->as_string(),
            "first");
}

TEST_F(DeviceKeysTest, TheIdsOfClaimedKeysAreRememberedUpToANumber) {
  const Session alice = log_in("alice", "PHONE");
  const auto key = [](size_t i) { return "a:" + std::to_string(i); };
  for (size_t i = 0; i <= kClaimedKeysKept + 500; i += 500) {
    json::Object keys;
    for (size_t k = i; k < i + 500; ++k)
      keys.set(key(k), "k");
    ASSERT_TRUE(upload(alice, {{"one_time_keys", std::move(keys)}}).ok());
    for (int k = 0; k < 500 && i <= kClaimedKeysKept; ++k)
      ASSERT_EQ(run(keys_->claim({{alice.user, alice.device, "a"}}))->size(), 1u);
  }
  const auto snapshot = database_->snapshot();
  EXPECT_FALSE(*stores::was_claimed(*snapshot, alice.number, alice.device, KeyId::trusted(key(0))));
  EXPECT_TRUE(
      *stores::was_claimed(*snapshot, alice.number, alice.device, KeyId::trusted(key(500))));
}

// Each sync of the disk costs a millisecond or more.
TEST_F(DeviceKeysTest, KeysOfManyDevicesAreClaimedInFewWrites) {
  std::vector<std::tuple<UserId, DeviceId, std::string>> wanted;
  for (int user = 0; user < 4; ++user) {
    Session session = log_in("user" + std::to_string(user), "D0");
    for (int device = 0; device < 50; ++device) {
      NewSession fresh;
      fresh.device = DeviceId::trusted("D" + std::to_string(device));
      session = run(sessions_->log_in(session.user, fresh))->session;
      ASSERT_TRUE(upload(session, {{"one_time_keys", json::object({{"a:1", "k"}})}}).ok());
      wanted.emplace_back(session.user, session.device, "a");
    }
  }
  const size_t before = groups_;
  const auto claimed = run(keys_->claim(wanted));
  EXPECT_LE(groups_ - before, 4u);
  ASSERT_EQ(claimed->size(), 4u);
  for (const auto& [user, devices] : *claimed)
    EXPECT_EQ(devices.as_object()->size(), 50u);
}

TEST_F(DeviceKeysTest, TheKeysOfAUsersDevicesAreBoundedTogether) {
  Session session = log_in("alice", "D0");
  size_t taken = 0;
  for (int i = 0; i < 60; ++i) {
    NewSession fresh;
    fresh.device = DeviceId::trusted("D" + std::to_string(i));
    session = run(sessions_->log_in(session.user, fresh))->session;
    json::Object keys = device_keys(session);
    keys.set("padding", std::string(15'000, 'x'));
    taken += upload(session, {{"device_keys", std::move(keys)}}).ok() ? 1 : 0;
  }
  EXPECT_EQ(taken, kUserKeysBytesMax / 15'200);
}

TEST_F(DeviceKeysTest, AUsedFallbackKeyThatIsUploadedAgainStaysUsed) {
  const Session alice = log_in("alice", "PHONE");
  const auto give = [&](const char* id) {
    ASSERT_TRUE(upload(alice, {{"fallback_keys", json::object({{id, "k"}})}}).ok());
  };
  const auto used = [&] {
    return stores::read_fallback_keys(*database_->snapshot(), alice.number, alice.device)
        ->at(0)
        .used;
  };
  give("a:1");
  ASSERT_EQ(run(keys_->claim({{alice.user, alice.device, "a"}}))->size(), 1u);
  give("a:1");
  EXPECT_TRUE(used());
  give("a:2");
  EXPECT_FALSE(used());
}

TEST_F(DeviceKeysTest, KeysEndWithTheirDevice) {
  const Session alice = log_in("alice", "PHONE");
  json::Object body{
      {"device_keys", device_keys(alice)},
      {"one_time_keys", json::object({{"signed_curve25519:a", json::object({{"key", "k"}})}})}};
  ASSERT_TRUE(upload(alice, body).ok());
  const kv::Position before = committer_->visible();
  ASSERT_TRUE(
      run(sessions_->delete_devices(alice.user, {alice.device, DeviceId::trusted("NEVER")})).ok());
  const auto snapshot = database_->snapshot();
  EXPECT_TRUE(stores::read_device_keys(*snapshot, alice.number)->empty());
  EXPECT_TRUE(stores::count_one_time_keys(*snapshot, alice.number, alice.device)->empty());
  const auto log = *stores::read_device_list_log(*snapshot, before, committer_->visible(), 100);
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log[0].device, alice.device);
  EXPECT_EQ(run(keys_->claim({{alice.user, alice.device, "signed_curve25519"}}))->size(), 0u);
}

}  // namespace
}  // namespace polder::users
