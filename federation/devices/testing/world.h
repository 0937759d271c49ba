// A server with rows instead of rooms, and other servers that answer as they are told: for tests.
#pragma once

#include <gtest/gtest.h>

#include "federation/devices/devices.h"
#include "homeserver/base/http/client.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/testing/outcome.h"
#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"
#include "storage/stores/rooms/room_rows.h"
#include "storage/stores/users/key_rows.h"
#include "storage/stores/users/user_rows.h"

namespace polder::devices {

inline const ServerName kOwn = ServerName::trusted("own.example");
inline const ServerName kB = ServerName::trusted("b.example");
inline const ServerName kC = ServerName::trusted("c.example");
inline const UserId kAlice = UserId::trusted("@alice:own.example");
inline const UserId kBob = UserId::trusted("@bob:b.example");
inline const UserId kCarol = UserId::trusted("@carol:c.example");
inline const DeviceId kPhone = DeviceId::trusted("PHONE");

inline json::Object parsed(std::string text) {
  std::ranges::replace(text, '\'', '"');
  auto object = json::parse_object(text);
  EXPECT_TRUE(object.ok()) << text;
  return object.ok() ? *object : json::Object();
}

// Keys of a device, right in shape; `key` tells them apart.
inline json::Object keys_of(const UserId& user, const std::string& device,
                            const std::string& key = "k") {
  return parsed("{'user_id':'" + user.str() + "','device_id':'" + device +
                "','algorithms':['m.olm'],'keys':{'ed25519:" + device + "':'" + key +
                "'},'signatures':{'" + user.str() + "':{'ed25519:" + device + "':'s'}}}");
}
inline json::Object signing_key_of(const UserId& user, const std::string& usage,
                                   const std::string& key) {
  return parsed("{'user_id':'" + user.str() + "','usage':['" + usage +
                "'],'keys':{'ed25519:" + key + "':'" + key + "'}}");
}

class FakeServers final : public transport::Servers {
 public:
  explicit FakeServers(runtime::Runtime& runtime) : runtime_(runtime) {}

  std::set<ServerName> down;
  std::map<std::string, json::Object> answers;        // by path
  std::map<std::string, int> calls;                   // by path, but for transactions
  std::map<std::string, json::Object> asked;          // the last body, by path
  std::map<ServerName, std::vector<wire::Edu>> edus;  // delivered
  Millis answer_after{20};

  Task<Result<http::ClientResponse>> call(ServerName server, transport::Call call) override {
    POLDER_CO_CHECK(co_await call.fill());
    const bool transaction = call.path.starts_with("/_matrix/federation/v1/send/");
    if (!transaction) ++calls[call.path];
    if (call.body && !transaction) asked[call.path] = *json::parse_object(*call.body);
    const bool is_down = down.contains(server);
    co_await runtime::sleep_for(runtime_, answer_after);
    if (is_down) co_return fail(ErrorCode::kUnavailable, "down");
    json::Object answer;
    if (transaction) {
      take(server, *call.body);
    } else if (const auto found = answers.find(call.path); found != answers.end()) {
      answer = found->second;
    } else {
      co_return fail(ErrorCode::kNotFound, "M_NOT_FOUND");
    }
    http::ClientResponse response;
    response.status = 200;
    response.body = json::write(answer);
    co_return response;
  }
  Millis back_off(const ServerName& server) const override {
    return down.contains(server) ? Millis(5'000) : Millis(0);
  }
  void heard_from(const ServerName&) override {}

 private:
  void take(const ServerName& server, const std::string& body) {
    auto transaction = wire::read_transaction(body, kOwn);
    ASSERT_TRUE(transaction.ok());
    for (wire::Edu& edu : transaction->edus) {
      EXPECT_LE(json::write(edu.content).size(), 65536u);
      edus[server].push_back(std::move(edu));
    }
  }
  runtime::Runtime& runtime_;
};

class WorldTest : public testing::Test {
 protected:
  WorldTest() { boot(); }
  ~WorldTest() override { halt(); }

  void boot() {
    simulation_ = runtime::Simulation::create(++boots_);
    runtime_ = simulation_->add_runtime("a");
    database_ = kv::open_memory(stores::kColumns, disk_);
    committer_ = kv::Committer::create(*runtime_, *database_);
    followers_ = std::make_unique<feed::Followers>(*runtime_, *database_, *committer_);
    names_ = *stores::Names::open(*database_);
    servers_ = std::make_unique<FakeServers>(*runtime_);
    client_ = std::make_unique<client::FederationClient>(*servers_);
    sender_ = std::make_unique<sender::Sender>(sender::SenderParts{
        *runtime_, *database_, *committer_, *followers_, *names_, nodes_, *servers_, kOwn});
    accounts_ = std::make_unique<users::Accounts>(
        users::Parts{*runtime_, *database_, *committer_, *names_, kOwn});
    keys_ = std::make_unique<users::DeviceKeys>(*accounts_);
    messages_ = std::make_unique<users::DeviceMessages>(*accounts_);
    devices_ =
        std::make_unique<Devices>(Parts{*runtime_, *database_, *committer_, *followers_, *names_,
                                        kOwn, *sender_, *client_, *keys_, *messages_});
  }
  // Of whose changed devices clients were told since it was asked last.
  std::vector<stores::UserNumber> told() {
    const kv::Position since = std::exchange(told_until_, committer_->visible());
    return *stores::read_device_list_changes(*database_->snapshot(), since, told_until_);
  }
  void start() {
    ASSERT_TRUE(devices_->start().ok());
    ASSERT_TRUE(sender_->start().ok());
  }
  void halt() {
    simulation_->crash(*runtime_);
    devices_.reset();
    messages_.reset();
    keys_.reset();
    accounts_.reset();
    sender_.reset();
    client_.reset();
    servers_.reset();
    names_.reset();
    followers_.reset();
    committer_.reset();
    database_.reset();
    runtime_.reset();
    simulation_.reset();
  }
  void lose_power() {
    halt();
    disk_.power_loss();
    boot();
  }
  void run(int64_t ms) { simulation_->run_for(Millis(ms)); }

  template <class T>
  T wait(Task<T> task) {
    return runtime::outcome(*simulation_, *runtime_, std::move(task), Millis(200'000));
  }
  void wait(Task<void> task) { EXPECT_TRUE(wait(then_true(std::move(task)))); }
  static Task<bool> then_true(Task<void> task) {
    co_await std::move(task);
    co_return true;
  }

  // keys/query, both parts, as Alice's client has it.
  Result<Answer> query_keys(const users::WantedKeys& wanted, Millis timeout = Millis(5000)) {
    Encryption& encryption = devices_->encryption;
    POLDER_TRY(Answer answer, wait(encryption.query_others(session(kAlice), wanted, timeout)));
    POLDER_TRY(json::Object known, wait(encryption.query_known(kAlice, wanted)));
    for (auto& [list, users] : known) {
      if (answer.keys.find_object(list) == nullptr) answer.keys.set(list, json::Object());
      for (auto& [user, keys] : *users.as_object())
        answer.keys.find(list)->as_object()->set(user, std::move(keys));
    }
    return answer;
  }

  void commit(const std::function<void(kv::Batch&)>& write) {
    kv::Batch batch;
    write(batch);
    ASSERT_TRUE(wait(committer_->commit(std::move(batch))).ok());
  }
  stores::UserNumber number(const UserId& user) {
    return intern(stores::NameKind::kUser, user.view());
  }
  uint64_t intern(stores::NameKind kind, std::string_view name) {
    if (const auto known = *names_->find(kind, name)) return *known;
    kv::Batch batch;
    stores::NewNames written;
    const uint64_t given = *names_->intern(kind, name, batch, written);
    EXPECT_TRUE(wait(committer_->commit(std::move(batch))).ok());
    names_->committed(written);
    return given;
  }

  void set_member(stores::RoomNumber room, const UserId& user, stores::Membership membership) {
    const auto user_number = number(user);
    const auto server = intern(stores::NameKind::kServer, user.server());
    commit([&](kv::Batch& batch) {
      stores::MembershipRow row;
      row.membership = membership;
      stores::put_membership(batch, user_number, room, row, batch.reserve_position());
      stores::put_server_count(batch, room, server,
                               membership == stores::Membership::kJoin ? 1 : 0);
    });
  }
  void join(stores::RoomNumber room, const UserId& user) {
    set_member(room, user, stores::Membership::kJoin);
  }
  void leave(stores::RoomNumber room, const UserId& user) {
    set_member(room, user, stores::Membership::kLeave);
  }

  users::Session session(const UserId& user, const DeviceId& device = kPhone) {
    users::Session session;
    session.user = user;
    session.number = number(user);
    session.device = device;
    return session;
  }
  void add_device(const UserId& user, const DeviceId& device = kPhone) {
    const auto user_number = number(user);
    commit([&](kv::Batch& batch) {
      stores::DeviceRow row;
      row.display_name = "phone of " + std::string(user.localpart());
      stores::put_device(batch, user_number, device, row);
    });
  }
  void upload(const UserId& user, const std::string& key, const DeviceId& device = kPhone) {
    json::Object body{{"device_keys", keys_of(user, device.str(), key)}};
    ASSERT_TRUE(wait(keys_->upload(session(user, device), body)).ok());
  }
  std::vector<std::pair<kv::Position, std::string>> inbox(const UserId& user) {
    return *stores::read_to_device(*database_->snapshot(), number(user), kPhone, 0,
                                   committer_->visible(), 1000);
  }
  const std::vector<wire::Edu>& edus(const ServerName& server) { return servers_->edus[server]; }

  uint64_t boots_ = 0;
  kv::MemoryDisk disk_;
  stores::StateNodeCache nodes_{1 << 20};
  kv::Position told_until_ = 0;
  std::unique_ptr<runtime::Simulation> simulation_;
  std::unique_ptr<runtime::Runtime> runtime_;
  std::unique_ptr<kv::Database> database_;
  std::unique_ptr<kv::Committer> committer_;
  std::unique_ptr<feed::Followers> followers_;
  std::unique_ptr<stores::Names> names_;
  std::unique_ptr<FakeServers> servers_;
  std::unique_ptr<client::FederationClient> client_;
  std::unique_ptr<sender::Sender> sender_;
  std::unique_ptr<users::Accounts> accounts_;
  std::unique_ptr<users::DeviceMessages> messages_;
  std::unique_ptr<users::DeviceKeys> keys_;
  std::unique_ptr<Devices> devices_;
};

}  // namespace polder::devices
