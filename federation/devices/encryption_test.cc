#include "federation/devices/encryption.h"

#include "federation/devices/testing/world.h"

namespace polder::devices {
namespace {

constexpr const char* kQueryPath = "/_matrix/federation/v1/user/keys/query";
constexpr const char* kClaimPath = "/_matrix/federation/v1/user/keys/claim";

class EncryptionTest : public WorldTest {
 protected:
  Answer query(users::WantedKeys wanted, Millis timeout = Millis(5000)) {
    return *query_keys(std::move(wanted), timeout);
  }
  rooms::RoomHeadPtr room_of(const std::vector<ServerName>& names) {
    rooms::RoomHead head;
    head.record.id = RoomId::trusted("!r:own.example");
    std::unordered_map<stores::ServerNumber, uint64_t> servers;
    for (const ServerName& server : names)
      servers[intern(stores::NameKind::kServer, server.view())] = 1;
    head.servers =
        std::make_shared<const std::unordered_map<stores::ServerNumber, uint64_t>>(servers);
    return std::make_shared<const rooms::RoomHead>(head);
  }
  static json::Object one_time_key() { return parsed("{'key':'k','signatures':{}}"); }
};

TEST_F(EncryptionTest, UsersOfManyServersAreAskedForAtOnce) {
  start();
  add_device(kAlice);
  upload(kAlice, "own");
  servers_->answers[kQueryPath] = {
      {"device_keys", json::object({{kBob.str(), json::object({{"A", keys_of(kBob, "A")}})},
                                    {kCarol.str(), json::object({{"C", keys_of(kCarol, "C")}})}})}};
  servers_->answer_after = Millis(1000);
  const auto before = runtime_->clock().steady();
  const Answer answer = query({{kAlice, {}}, {kBob, {}}, {kCarol, {}}});
  EXPECT_LT(runtime_->clock().steady() - before, Millis(1500));
  EXPECT_EQ(answer.keys.find_object("device_keys")->size(), 3u);
  EXPECT_TRUE(answer.failures.empty());
  EXPECT_EQ(servers_->calls[kQueryPath], 2);
}

TEST_F(EncryptionTest, ServersThatDoNotAnswerInTimeAreNamed) {
  start();
  add_device(kAlice);
  upload(kAlice, "own");
  servers_->down = {kB};
  servers_->answer_after = Millis(100);
  Answer answer = query({{kAlice, {}}, {kBob, {}}});
  EXPECT_EQ(answer.keys.find_object("device_keys")->size(), 1u);
  ASSERT_EQ(answer.failures.size(), 1u);
  EXPECT_EQ(answer.failures.at(kB).code, ErrorCode::kUnavailable);
  servers_->down.clear();
  servers_->answer_after = Millis(30'000);
  const auto before = runtime_->clock().steady();
  answer = query({{kBob, {}}}, Millis(2000));
  EXPECT_GE(runtime_->clock().steady() - before, Millis(2000));
  EXPECT_LT(runtime_->clock().steady() - before, Millis(2500));
  EXPECT_EQ(answer.failures.at(kB).code, ErrorCode::kUnavailable);
  run(60'000);  // the answer comes, and goes nowhere
}

TEST_F(EncryptionTest, OnlyWhatWasAskedOfAServerIsBelieved) {
  start();
  json::Object misnamed = keys_of(kBob, "A");
  json::Object named = keys_of(kBob, "D");
  named.set("unsigned", json::object({{"device_display_name", "phone"}, {"other", 1}}));
  json::Object large = keys_of(kBob, "E");
  large.set("padding", std::string(70'000, 'x'));
  json::Object devices{{"A", keys_of(kBob, "A")},
                       {"B", misnamed},
                       {"C", "text"},
                       {"D", named},
                       {"E", large},
                       {"F", keys_of(kBob, "F")},
                       {"G", keys_of(kCarol, "G")}};
  servers_->answers[kQueryPath] = {
      {"device_keys", json::object({{kBob.str(), devices},
                                    {kCarol.str(), json::object({{"C", keys_of(kCarol, "C")}})},
                                    {"@ben:b.example", json::Object()}})},
      {"master_keys", json::object({{kBob.str(), signing_key_of(kBob, "self_signing", "x")}})},
      {"self_signing_keys", json::object({{kBob.str(), signing_key_of(kBob, "self_signing", "s")},
                                          {kAlice.str(), signing_key_of(kAlice, "master", "m")}})},
      {"user_signing_keys",
       json::object({{kBob.str(), signing_key_of(kBob, "user_signing", "u")}})}};
  const Answer answer = query({{kBob, {"A", "B", "C", "D", "E", "G"}}});
  EXPECT_EQ(answer.keys.find_object("device_keys")->size(), 1u);
  const json::Object& found = *answer.keys.find_object("device_keys")->find_object(kBob.view());
  ASSERT_EQ(found.size(), 2u) << json::write(found);
  EXPECT_TRUE(found.contains("A"));
  EXPECT_EQ(*found.find_object("D")->find_object("unsigned"),
            parsed("{'device_display_name':'phone'}"));
  EXPECT_TRUE(answer.keys.find_object("master_keys")->empty());
  EXPECT_EQ(answer.keys.find_object("self_signing_keys")->size(), 1u);
  EXPECT_TRUE(answer.keys.find_object("user_signing_keys")->empty());
}

TEST_F(EncryptionTest, OneTimeKeysAreClaimedHereAndThere) {
  start();
  add_device(kAlice);
  json::Object body{{"one_time_keys", json::object({{"signed_curve25519:own", one_time_key()}})}};
  ASSERT_TRUE(wait(keys_->upload(session(kAlice), body)).ok());
  const json::Value two = json::object(
      {{"signed_curve25519:1", one_time_key()}, {"signed_curve25519:2", one_time_key()}});
  const json::Value one = json::object({{"signed_curve25519:1", one_time_key()}});
  servers_->answers[kClaimPath] = {
      {"one_time_keys",
       json::object({{kBob.str(), json::object({{"A", one},
                                                {"B", two},
                                                {"C", json::object({{"other:1", one_time_key()}})},
                                                {"D", json::object({{"signed_curve25519:1", 7}})},
                                                {"unasked", one}})},
                     {kAlice.str(), json::object({{"PHONE", two}})}})}};
  WantedOneTimeKeys wanted = {{kAlice, kPhone, "signed_curve25519"}};
  for (const char* device : {"A", "B", "C", "D"})
    wanted.emplace_back(kBob, DeviceId::trusted(device), "signed_curve25519");
  const Answer answer = *wait(devices_->encryption.claim(wanted, Millis(5000)));
  EXPECT_TRUE(answer.failures.empty());
  const json::Object& keys = *answer.keys.find_object("one_time_keys");
  EXPECT_EQ(*keys.find_object(kBob.view()), (json::Object{{"A", one}}));
  const json::Object& own = *keys.find_object(kAlice.view())->find_object("PHONE");
  EXPECT_TRUE(own.contains("signed_curve25519:own"));
  EXPECT_EQ(servers_->asked[kClaimPath].find_object("one_time_keys")->size(), 1u);
}

TEST_F(EncryptionTest, OthersAreToldWhenTypingEndsByItself) {
  start();
  const auto room = room_of({kOwn, kB});
  auto& ephemeral = devices_->ephemeral;
  const auto told = [&] {
    std::string said;
    for (const wire::Edu& edu : edus(kB))
      said += *edu.content.find_bool("typing") ? '+' : '-';
    return said;
  };
  wait(ephemeral.typing(room, kAlice, Millis(4000)));
  run(3000);
  wait(ephemeral.typing(room, kAlice, Millis(4000)));
  run(3000);
  EXPECT_EQ(told(), "++");
  run(2000);
  EXPECT_EQ(told(), "++-");
  wait(ephemeral.typing(room, kAlice, Millis(4000)));
  run(1000);
  wait(ephemeral.typing(room, kAlice, std::nullopt));
  run(10'000);
  EXPECT_EQ(told(), "++-+-");
}

// Receipts that are private never leave, nor do any to servers that are not in the room.
TEST_F(EncryptionTest, TypingAndReceiptsGoToTheServersInTheRoom) {
  start();
  const auto room = room_of({kOwn, kB});
  auto& ephemeral = devices_->ephemeral;
  const EventId event = EventId::trusted("$e");
  wait(ephemeral.typing(room, kAlice, Millis(20'000)));
  run(1000);
  wait(ephemeral.receipt(room, kAlice, {"m.read.private", "", event, 7}));
  wait(ephemeral.receipt(room, kAlice, {"m.read", "main", event, 7}));
  run(1000);
  ASSERT_EQ(edus(kB).size(), 2u);
  EXPECT_EQ(edus(kB)[0].type, "m.typing");
  EXPECT_EQ(edus(kB)[0].content,
            parsed("{'room_id':'!r:own.example','user_id':'@alice:own.example','typing':true}"));
  EXPECT_EQ(edus(kB)[1].type, "m.receipt");
  EXPECT_EQ(edus(kB)[1].content,
            parsed("{'!r:own.example':{'m.read':{'@alice:own.example':{'event_ids':['$e'],"
                   "'data':{'ts':7,'thread_id':'main'}}}}}"));
  EXPECT_TRUE(edus(kC).empty());
}

}  // namespace
}  // namespace polder::devices
