#include "homeserver/users/data/device_messages.h"

#include "homeserver/users/accounts/testing/accounts.h"
#include "storage/stores/users/key_rows.h"

namespace polder::users {
namespace {

class DeviceMessagesTest : public AccountsTest {
 protected:
  ~DeviceMessagesTest() override { close(); }

  void close() {
    end_tasks();
    messages_.reset();
  }
  void crash() {
    close();
    halt();
    disk_.power_loss();
    boot();
    messages_ = std::make_unique<DeviceMessages>(*accounts_);
  }
  Session with_device(const std::string& name, const std::string& device) {
    Session session;
    session.user = add(name);
    session.number = number_of(session.user);
    session.device = DeviceId::trusted(device);
    kv::Batch batch;
    stores::put_device(batch, session.number, session.device, {});
    EXPECT_TRUE(run(committer_->commit(std::move(batch))).ok());
    return session;
  }
  size_t inbox(const Session& session) {
    return stores::read_to_device(*database_->snapshot(), session.number, session.device, 0,
                                  committer_->visible(), 100)
        ->size();
  }

  std::unique_ptr<DeviceMessages> messages_ = std::make_unique<DeviceMessages>(*accounts_);
};

TEST_F(DeviceMessagesTest, ATransactionIdSendsOnceHoweverOftenItIsTried) {
  const Session alice = with_device("alice", "PHONE");
  const Session bob = with_device("bob", "TABLET");
  const json::Object messages{
      {bob.user.str(), json::object({{"*", json::object({{"body", "hello"}})}})}};
  const auto send = [&](const std::string& id) {
    return run(messages_->send_once(alice, ToDevice{"m.test", id, messages, kv::Batch()}));
  };
  EXPECT_EQ(**send("1"), std::vector{bob.number});
  EXPECT_FALSE(send("1")->has_value());
  crash();
  EXPECT_FALSE(send("1")->has_value());
  EXPECT_EQ(inbox(bob), 1u);
  EXPECT_TRUE(send("2")->has_value());
  EXPECT_EQ(inbox(bob), 2u);
}

// A power cut at any moment leaves the transaction with its messages, or neither.
TEST_F(DeviceMessagesTest, TheTransactionAndItsMessagesAreOneBatch) {
  const Session alice = with_device("alice", "PHONE");
  const Session bob = with_device("bob", "TABLET");
  const json::Object messages{
      {bob.user.str(), json::object({{"TABLET", json::object({{"body", "hello"}})}})}};
  disk_.fail_after(1);
  EXPECT_FALSE(
      run(messages_->send_once(alice, ToDevice{"m.test", "1", messages, kv::Batch()})).ok());
  disk_.repair();
  crash();
  EXPECT_EQ(inbox(bob), 0u);
  EXPECT_TRUE(run(messages_->send_once(alice, ToDevice{"m.test", "1", messages, kv::Batch()}))
                  ->has_value());
  EXPECT_EQ(inbox(bob), 1u);
}

}  // namespace
}  // namespace polder::users
