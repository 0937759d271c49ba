#include "federation/devices/outgoing_messages.h"

#include "federation/devices/testing/world.h"
#include "storage/stores/federation/remote_device_rows.h"

namespace polder::devices {
namespace {

class OutgoingMessagesTest : public WorldTest {
 protected:
  Result<std::vector<stores::UserNumber>> send(const std::string& id, json::Object messages) {
    users::ToDevice message{"m.test", id, std::move(messages), kv::Batch()};
    return wait(devices_->encryption.send(session(kAlice), std::move(message)));
  }
  static json::Object to(const UserId& user, const std::string& body,
                         const std::string& device = "X") {
    return {{user.str(), json::object({{device, json::object({{"body", body}})}})}};
  }
  std::vector<std::string> bodies(const ServerName& server) {
    std::vector<std::string> found;
    for (const wire::Edu& edu : edus(server)) {
      EXPECT_EQ(edu.type, "m.direct_to_device");
      const json::Value* body = json::at(edu.content, {"messages", kBob.view(), "X", "body"});
      if (body != nullptr) found.push_back(*body->as_string());
    }
    return found;
  }
  std::vector<std::string> ids(const ServerName& server) {
    std::vector<std::string> found;
    for (const wire::Edu& edu : edus(server))
      found.push_back(*edu.content.find_string("message_id"));
    return found;
  }
};

using Texts = std::vector<std::string>;

TEST_F(OutgoingMessagesTest, MessagesGoToTheServersOfTheirUsers) {
  start();
  add_device(kAlice);
  json::Object messages = to(kBob, "one");
  messages.set(kAlice.str(), json::object({{"*", json::object({{"body", "two"}})}}));
  messages.set("@ben:b.example", json::object({{"*", json::object({{"body", "three"}})}}));
  EXPECT_EQ(*send("t", messages), std::vector{number(kAlice)});
  run(5000);
  ASSERT_EQ(edus(kB).size(), 1u);
  const json::Object& content = edus(kB)[0].content;
  EXPECT_EQ(*content.find_string("sender"), kAlice.str());
  EXPECT_EQ(*content.find_string("type"), "m.test");
  EXPECT_LE(content.find_string("message_id")->size(), 32u);
  EXPECT_EQ(content.find_object("messages")->size(), 2u);
  EXPECT_EQ(inbox(kAlice).size(), 1u);
  EXPECT_TRUE(stores::count_outgoing_messages(*database_->snapshot())->empty());
}

TEST_F(OutgoingMessagesTest, MessagesSurviveAnOutageAndAPowerCutInTheirOrder) {
  start();
  servers_->down = {kB};
  for (int i = 0; i < 250; ++i)
    ASSERT_TRUE(send("t" + std::to_string(i), to(kBob, std::to_string(i))).ok());
  EXPECT_TRUE(edus(kB).empty());
  lose_power();
  start();
  run(10'000);
  Texts expected;
  for (int i = 0; i < 250; ++i)
    expected.push_back(std::to_string(i));
  EXPECT_EQ(bodies(kB), expected);
  run(5000);
  halt();
  boot();
  start();
  run(10'000);
  EXPECT_TRUE(edus(kB).empty());
}

// What was delivered just before a power cut goes out again, under the same id.
TEST_F(OutgoingMessagesTest, AMessageKeepsItsId) {
  start();
  ASSERT_TRUE(send("t", to(kBob, "one")).ok());
  ASSERT_TRUE(simulation_->run_until([&] { return !edus(kB).empty(); }, Millis(5000)));
  const Texts before = ids(kB);
  lose_power();
  start();
  run(10'000);
  EXPECT_EQ(ids(kB), before);
  ASSERT_TRUE(send("u", to(kBob, "two")).ok());
  run(1000);
  ASSERT_EQ(ids(kB).size(), 2u);
  EXPECT_NE(ids(kB)[0], ids(kB)[1]);
}

TEST_F(OutgoingMessagesTest, ATransactionIdSendsOnceHereAndThere) {
  start();
  add_device(kAlice);
  json::Object messages = to(kBob, "one");
  messages.set(kAlice.str(), json::object({{"*", json::object({{"body", "one"}})}}));
  ASSERT_TRUE(send("t", messages).ok());
  EXPECT_TRUE(send("t", messages)->empty());
  halt();
  boot();
  start();
  EXPECT_TRUE(send("t", messages)->empty());
  run(5000);
  EXPECT_EQ(bodies(kB), Texts{"one"});
  EXPECT_EQ(inbox(kAlice).size(), 1u);
}

TEST_F(OutgoingMessagesTest, EdusAreBoundedHoweverManyMessagesThereAre) {
  start();
  json::Object devices;
  for (int i = 0; i < 100; ++i)
    devices.set("D" + std::to_string(i), json::object({{"body", std::string(3000, '\x01')}}));
  ASSERT_TRUE(send("t", {{kBob.str(), devices}}).ok());
  run(1000);
  size_t messages = 0;
  for (const wire::Edu& edu : edus(kB))
    messages += edu.content.find_object("messages")->find_object(kBob.view())->size();
  EXPECT_EQ(messages, 100u);
}

TEST_F(OutgoingMessagesTest, BadMessagesAreRefusedWhole) {
  start();
  json::Object many;
  for (int i = 0; i < 1001; ++i)
    many.set("D" + std::to_string(i), json::Object());
  const std::vector<std::pair<json::Object, ErrorCode>> cases = {
      {to(kBob, std::string(65'536, 'x')), ErrorCode::kTooLarge},
      {{{kBob.str(), many}}, ErrorCode::kTooLarge},
      {parsed("{'@bob:b.example':[]}"), ErrorCode::kInvalid},
      {parsed("{'@bob:b.example':{'X':'text'}}"), ErrorCode::kInvalid},
      {parsed("{'@bob:b.example':{'X':{'a':0.5}}}"), ErrorCode::kInvalid},
      {parsed("{'bob':{'X':{}}}"), ErrorCode::kInvalid},
  };
  for (const auto& [messages, code] : cases) {
    json::Object both = messages;
    both.set("@carol:c.example", json::object({{"X", json::Object()}}));
    const auto sent = send("t", both);
    ASSERT_FALSE(sent.ok()) << json::write(messages).substr(0, 80);
    EXPECT_EQ(sent.error().code, code) << json::write(messages).substr(0, 80);
  }
  run(5000);
  EXPECT_TRUE(edus(kB).empty());
  EXPECT_TRUE(edus(kC).empty());
}

TEST_F(OutgoingMessagesTest, ASilentServersQueueIsBounded) {
  commit([&](kv::Batch& batch) {
    for (size_t i = 0; i < kQueuedMessagesMax; ++i)
      stores::put_outgoing_message(batch, kB, batch.reserve_position(), "{}");
  });
  start();
  servers_->down = {kB};
  for (const char* id : {"a", "b", "c"})
    ASSERT_TRUE(send(id, to(kBob, id)).ok());
  EXPECT_EQ(stores::count_outgoing_messages(*database_->snapshot())->at(kB), kQueuedMessagesMax);
  const auto rows =
      *stores::read_outgoing_messages(*database_->snapshot(), kB, 0, kQueuedMessagesMax);
  EXPECT_NE(rows.back().second.find("\"c\""), std::string::npos);
}

}  // namespace
}  // namespace polder::devices
