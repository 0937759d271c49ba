#include "federation/server/testing/server.h"
#include "homeserver/users/keys/testing/signing.h"
#include "storage/stores/rooms/directory_rows.h"

namespace polder::federation_server {
namespace {

class QueryTest : public ServerTest {
 protected:
  void commit(kv::Batch batch) { ASSERT_TRUE(run(committer_->commit(std::move(batch))).ok()); }
  // A device of alice with its keys.
  users::Session device(std::string_view id) {
    users::NewSession wanted;
    wanted.device = DeviceId::trusted(std::string(id));
    wanted.display_name = "phone";
    const users::Session session = run(sessions_.log_in(alice_, wanted))->session;
    const std::string key = "ed25519:" + std::string(id);
    json::Object keys{
        {"user_id", alice_.str()},
        {"device_id", id},
        {"algorithms", json::Array{"m.olm"}},
        {"keys", json::object({{key, "AAAA"}})},
        {"signatures", json::object({{alice_.str(), json::object({{key, "BBBB"}})}})}};
    json::Object body{{"device_keys", std::move(keys)},
                      {"one_time_keys", json::object({{"signed_curve25519:A", "one"}})}};
    EXPECT_TRUE(run(device_keys_.upload(session, std::move(body))).ok());
    return session;
  }
  Answer profile(std::string_view rest) {
    return get("/_matrix/federation/v1/query/profile" + std::string(rest));
  }
};

TEST_F(QueryTest, ProfilesAreOfLocalUsers) {
  ASSERT_TRUE(run(accounts_.set_profile(alice_, "Alice", "mxc://own.example/a")).ok());
  EXPECT_EQ(profile("?user_id=%40alice%3Aown.example").text(),
            R"({"avatar_url":"mxc://own.example/a","displayname":"Alice"})");
  EXPECT_EQ(profile("?user_id=%40alice%3Aown.example&field=displayname").text(),
            R"({"displayname":"Alice"})");
  EXPECT_EQ(profile("?user_id=%40alice%3Aown.example&field=secret").errcode(), "M_NOT_FOUND");
  EXPECT_EQ(profile("?user_id=%40nobody%3Aown.example").errcode(), "M_NOT_FOUND");
  EXPECT_EQ(profile("?user_id=%40bob%3Aother.example").errcode(), "M_INVALID_PARAM");
  EXPECT_EQ(profile("?user_id=nonsense").errcode(), "M_INVALID_PARAM");
  EXPECT_EQ(profile("").errcode(), "M_MISSING_PARAM");
  ASSERT_TRUE(run(accounts_.deactivate(alice_)).ok());
  EXPECT_EQ(profile("?user_id=%40alice%3Aown.example").errcode(), "M_NOT_FOUND");
}

TEST_F(QueryTest, AliasesAreOfThisServer) {
  const RoomId room = create();
  join(room, bob_);
  kv::Batch batch;
  stores::put_alias(batch, RoomAlias::trusted("#room:own.example"), {room, alice_});
  commit(std::move(batch));
  const auto directory = [&](std::string_view alias) {
    return get("/_matrix/federation/v1/query/directory?room_alias=" + base::percent_encode(alias));
  };
  const Answer answer = directory("#room:own.example");
  EXPECT_EQ(*answer.at({"room_id"})->as_string(), room.str());
  EXPECT_EQ(answer.list("servers"), (json::Array{own_.str(), other_.str()}));
  EXPECT_EQ(directory("#none:own.example").errcode(), "M_NOT_FOUND");
  EXPECT_EQ(directory("#room:other.example").errcode(), "M_INVALID_PARAM");
  EXPECT_EQ(directory("nonsense").errcode(), "M_INVALID_PARAM");
  EXPECT_EQ(get("/_matrix/federation/v1/query/directory").errcode(), "M_MISSING_PARAM");
}

TEST_F(QueryTest, DevicesAndKeysAreOfLocalUsers) {
  const users::Session session = device("PHONE");
  json::Object cross = users::CrossSigningKeys(alice_).upload();
  ASSERT_TRUE(run(device_keys_.upload_cross_signing(session, std::move(cross), false)).ok());
  const auto query = [&](json::Object wanted) {
    return post("/_matrix/federation/v1/user/keys/query", {{"device_keys", std::move(wanted)}});
  };
  const Answer keys = query({{alice_.str(), json::Array()}});
  EXPECT_NE(keys.at({"device_keys", alice_.view(), "PHONE", "keys"}), nullptr) << keys.text();
  EXPECT_NE(keys.at({"master_keys", alice_.view()}), nullptr);
  EXPECT_NE(keys.at({"self_signing_keys", alice_.view()}), nullptr);
  EXPECT_EQ(keys.text().find("user_signing"), std::string::npos);
  EXPECT_EQ(query({{bob_.str(), json::Array()}}).errcode(), "M_INVALID_PARAM");
  EXPECT_EQ(query({{alice_.str(), json::Array{5}}}).errcode(), "M_BAD_JSON");
  EXPECT_EQ(query({{alice_.str(), 5}}).errcode(), "M_BAD_JSON");
  EXPECT_EQ(post("/_matrix/federation/v1/user/keys/query", {}).errcode(), "M_MISSING_PARAM");

  const Answer devices = get(path("/_matrix/federation/v1/user/devices", {alice_.view()}));
  ASSERT_EQ(devices.status, 200) << devices.text();
  ASSERT_EQ(devices.list("devices").size(), 1u);
  const json::Object& phone = *devices.list("devices")[0].as_object();
  EXPECT_EQ(*phone.find_string("device_id"), "PHONE");
  EXPECT_EQ(*phone.find_string("device_display_name"), "phone");
  EXPECT_FALSE(phone.find_object("keys")->contains("unsigned"));
  EXPECT_NE(devices.at({"master_key"}), nullptr);
  EXPECT_NE(devices.at({"self_signing_key"}), nullptr);
  EXPECT_GT(*devices.at({"stream_id"})->as_int(), 0);
  EXPECT_EQ(get(path("/_matrix/federation/v1/user/devices", {bob_.view()})).errcode(),
            "M_INVALID_PARAM");
  EXPECT_EQ(get(path("/_matrix/federation/v1/user/devices", {"@nobody:own.example"})).errcode(),
            "M_NOT_FOUND");
}

TEST_F(QueryTest, AOneTimeKeyIsGivenOnce) {
  device("PHONE");
  const auto claim = [&](json::Value devices) {
    return post("/_matrix/federation/v1/user/keys/claim",
                {{"one_time_keys", json::object({{alice_.str(), std::move(devices)}})}});
  };
  const auto wanted = json::object({{"PHONE", "signed_curve25519"}});
  EXPECT_EQ(claim(wanted).text(),
            R"({"one_time_keys":{"@alice:own.example":{"PHONE":{"signed_curve25519:A":"one"}}}})");
  EXPECT_EQ(claim(wanted).text(), R"({"one_time_keys":{}})");
  EXPECT_EQ(claim("nonsense").errcode(), "M_BAD_JSON");
  EXPECT_EQ(claim(json::object({{"PHONE", 5}})).errcode(), "M_BAD_JSON");
  EXPECT_EQ(post("/_matrix/federation/v1/user/keys/claim",
                 {{"one_time_keys", json::object({{bob_.str(), json::Object()}})}})
                .errcode(),
            "M_INVALID_PARAM");
  EXPECT_EQ(post("/_matrix/federation/v1/user/keys/claim", {}).errcode(), "M_MISSING_PARAM");
}

}  // namespace
}  // namespace polder::federation_server
