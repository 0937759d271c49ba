#include "homeserver/users/users.h"

#include "homeserver/base/json/parse.h"
#include "homeserver/base/runtime/simulated.h"
#include "homeserver/users/account_data.h"
#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"
#include "storage/stores/users/key_rows.h"

namespace polder::users {
namespace {

class UsersTest : public testing::Test {
 protected:
  UsersTest() { start(); }

  void start() {
    simulation_ = runtime::Simulation::create(++starts_);
    runtime_ = simulation_->add_runtime("a");
    database_ = kv::open_memory(stores::kColumns, disk_);
    committer_ = kv::Committer::create(*runtime_, *database_);
    names_ = *stores::Names::open(*database_);
    const Parts parts{*runtime_, *database_, *committer_, *names_, ServerName::trusted("own")};
    users_ = std::make_unique<Users>(parts);
    data_ = std::make_unique<AccountData>(parts);
  }
  void crash() {
    simulation_->crash(*runtime_);
    users_.reset();
    data_.reset();
    names_.reset();
    committer_.reset();
    database_.reset();
    runtime_.reset();
    simulation_.reset();
    disk_.power_loss();
    start();
  }
  template <class T>
  T run(Task<T> task) {
    std::optional<T> result;
    runtime::spawn(*runtime_, runtime_->shard(0), "test", keep(std::move(task), result));
    EXPECT_TRUE(simulation_->run_until([&] { return result.has_value(); }, Millis(60'000)));
    return std::move(*result);
  }
  template <class T>
  static Task<void> keep(Task<T> task, std::optional<T>& result) {
    result.emplace(co_await std::move(task));
  }
  UserId add(std::string name) {
    NewAccount account;
    account.localpart = std::move(name);
    account.password = "secret";
    return *run(users_->register_user(account));
  }

  uint64_t starts_ = 0;
  kv::MemoryDisk disk_;
  std::unique_ptr<runtime::Simulation> simulation_;
  std::unique_ptr<runtime::Runtime> runtime_;
  std::unique_ptr<kv::Database> database_;
  std::unique_ptr<kv::Committer> committer_;
  std::unique_ptr<stores::Names> names_;
  std::unique_ptr<Users> users_;
  std::unique_ptr<AccountData> data_;
};

TEST_F(UsersTest, NamesAreTakenOnceInLowerCase) {
  EXPECT_EQ(add("Alice").str(), "@alice:own");
  NewAccount account;
  account.localpart = "alice";
  EXPECT_EQ(run(users_->register_user(account)).error().code, ErrorCode::kExists);
  EXPECT_EQ(run(users_->check_available("alice")).error().code, ErrorCode::kExists);
  EXPECT_TRUE(run(users_->check_available("bob")).ok());
  for (const char* name : {"a b", "\xc3\xa9", "a:b", "@a"}) {
    account.localpart = name;
    EXPECT_EQ(run(users_->register_user(account)).error().code, ErrorCode::kInvalid) << name;
  }
}

TEST_F(UsersTest, OnlyTheRightPasswordOfAnActiveUserPasses) {
  const UserId alice = add("alice");
  EXPECT_TRUE(run(users_->check_password(alice, "secret")).ok());
  EXPECT_EQ(run(users_->check_password(alice, "Secret")).error().code, ErrorCode::kForbidden);
  EXPECT_EQ(run(users_->check_password(alice, "")).error().code, ErrorCode::kForbidden);
  EXPECT_EQ(run(users_->check_password(UserId::trusted("@nobody:own"), "secret")).error().code,
            ErrorCode::kForbidden);
  ASSERT_TRUE(run(users_->set_password(alice, "another")).ok());
  EXPECT_FALSE(run(users_->check_password(alice, "secret")).ok());
  ASSERT_TRUE(run(users_->deactivate(alice)).ok());
  EXPECT_TRUE(run(users_->check_password(alice, "another"))->deactivated);
  EXPECT_FALSE(run(users_->check_password(alice, "wrong")).ok());
  EXPECT_FALSE(run(users_->check_password(alice, "")).ok());
  EXPECT_EQ(run(users_->log_in(alice, {})).error().code, ErrorCode::kForbidden);
  ASSERT_TRUE(run(users_->deactivate(alice, true)).ok());
  EXPECT_FALSE(run(users_->check_password(alice, "another")).ok()) << "nothing is kept of it";
  EXPECT_EQ(run(users_->check_available("alice")).error().code, ErrorCode::kExists);
}

TEST_F(UsersTest, TokensOutliveACrashAndEndWithTheirDevice) {
  const UserId alice = add("alice");
  NewSession wanted;
  wanted.device = DeviceId::trusted("PHONE");
  wanted.display_name = "phone";
  const auto phone = run(users_->log_in(alice, wanted));
  const auto laptop = run(users_->log_in(alice, {}));
  ASSERT_TRUE(phone.ok());
  crash();
  const auto session = run(users_->authenticate(phone->access_token));
  ASSERT_TRUE(session.ok());
  EXPECT_EQ(session->user, alice);
  EXPECT_EQ(session->device.str(), "PHONE");
  EXPECT_EQ(run(users_->devices(alice))->size(), 2u);
  ASSERT_TRUE(run(users_->log_out(*session)).ok());
  EXPECT_EQ(run(users_->authenticate(phone->access_token)).error().code,
            ErrorCode::kUnauthenticated);
  EXPECT_TRUE(run(users_->authenticate(laptop->access_token)).ok());
  ASSERT_TRUE(run(users_->log_out_everywhere(alice)).ok());
  EXPECT_FALSE(run(users_->authenticate(laptop->access_token)).ok());
}

TEST_F(UsersTest, ANewLoginOfADeviceEndsTheOldOne) {
  const UserId alice = add("alice");
  NewSession wanted;
  wanted.device = DeviceId::trusted("PHONE");
  const auto first = run(users_->log_in(alice, wanted));
  ASSERT_TRUE(run(users_->authenticate(first->access_token)).ok());
  const auto second = run(users_->log_in(alice, wanted));
  EXPECT_FALSE(run(users_->authenticate(first->access_token)).ok());
  EXPECT_TRUE(run(users_->authenticate(second->access_token)).ok());
}

// However the reads and writes of both fall.
TEST_F(UsersTest, ASessionThatEndsBesideItsRequestsNeverAnswersAgain) {
  using End = std::function<Task<Status>(const SessionToken&)>;
  const std::vector<End> ends = {
      [&](const SessionToken& token) { return users_->log_out(token.session); },
      [&](const SessionToken& token) { return users_->log_out_everywhere(token.session.user); },
      [&](const SessionToken& token) {
        return users_->set_password(token.session.user, "another", DeviceId::trusted("OTHER"));
      },
      [&](const SessionToken& token) { return users_->deactivate(token.session.user); },
  };
  for (size_t round = 0; round < 120; ++round) {
    NewAccount account;
    account.localpart = "user" + std::to_string(round);
    const UserId user = *run(users_->register_user(account));
    const auto token = run(users_->log_in(user, {}));
    ASSERT_TRUE(token.ok());
    for (int request = 0; request < 8; ++request) {
      runtime::spawn(
          *runtime_, runtime_->shard(0), "request",
          [](Users& users, std::string text, int after, runtime::Runtime& runtime) -> Task<void> {
            co_await runtime::sleep_for(runtime, Millis(after));
            (void)co_await users.authenticate(text);
          }(*users_, token->access_token, request, *runtime_));
    }
    ASSERT_TRUE(run(ends[round % ends.size()](*token)).ok());
    for (int again = 0; again < 3; ++again) {
      EXPECT_EQ(run(users_->authenticate(token->access_token)).error().code,
                ErrorCode::kUnauthenticated);
      simulation_->run_for(Millis(5));
    }
  }
}

TEST_F(UsersTest, ARememberedSessionEndsWhenItsTimeHasCome) {
  const UserId alice = add("alice");
  const auto token = run(users_->log_in(alice, {}));
  kv::Batch batch;
  stores::SessionRow row;
  row.user = token->session.number;
  row.device = token->session.device;
  row.kind = 1;
  row.expires_ms = runtime_->clock().wall_ms() + 60'000;
  stores::put_session(batch, token->session.token, row);
  ASSERT_TRUE(run(committer_->commit(std::move(batch))).ok());
  EXPECT_TRUE(run(users_->authenticate(token->access_token)).ok());
  simulation_->run_for(Millis(61'000));
  EXPECT_FALSE(run(users_->authenticate(token->access_token)).ok());
}

TEST_F(UsersTest, NobodyEntersWithAPasswordThatWasChangedMeanwhile) {
  const UserId alice = add("alice");
  NewSession wanted;
  wanted.password_hash = run(users_->check_password(alice, "secret"))->password_hash;
  EXPECT_TRUE(run(users_->log_in(alice, wanted)).ok());
  ASSERT_TRUE(run(users_->set_password(alice, "another", DeviceId::trusted("OTHER"))).ok());
  EXPECT_EQ(run(users_->log_in(alice, wanted)).error().code, ErrorCode::kForbidden);
  EXPECT_TRUE(run(users_->devices(alice))->empty());
}

TEST_F(UsersTest, APasswordIsNeitherEmptyNorEndless) {
  const UserId alice = add("alice");
  for (const std::string& password : {std::string(), std::string(kPasswordBytesMax + 1, 'x')}) {
    EXPECT_FALSE(run(users_->set_password(alice, password)).ok());
    NewAccount account;
    account.localpart = "bob";
    account.password = password;
    EXPECT_FALSE(run(users_->register_user(account)).ok());
  }
}

TEST_F(UsersTest, ADeviceIsNotNamedLikeACrossSigningKey) {
  const UserId alice = add("alice");
  const auto number = **names_->find(stores::NameKind::kUser, alice.view());
  kv::Batch batch;
  stores::put_cross_signing_key(batch, number, "master", R"({"keys":{"ed25519:KEY":"KEY"}})");
  ASSERT_TRUE(run(committer_->commit(std::move(batch))).ok());
  NewSession wanted;
  wanted.device = DeviceId::trusted("KEY");
  EXPECT_EQ(run(users_->log_in(alice, wanted)).error().code, ErrorCode::kInvalid);
}

TEST_F(UsersTest, BadTokensAreRefused) {
  for (const char* token : {"", "pat_", "rubbish", "pat_00000000000000000000000000000000_000000"}) {
    EXPECT_EQ(run(users_->authenticate(token)).error().code, ErrorCode::kUnauthenticated) << token;
  }
}

// All of it goes into every first sync.
TEST_F(UsersTest, AccountDataIsBoundedByRoomAndByUser) {
  const stores::UserNumber user = 7;
  const Parts parts{*runtime_, *database_, *committer_, *names_, ServerName::trusted("own")};
  AccountData data(parts, {.room_types = 3, .room_bytes = 4000, .types = 5, .bytes = 6000});
  const auto set = [&](stores::RoomNumber room, std::string type, size_t bytes) {
    const json::Object content{{"text", std::string(bytes, 'x')}};
    return run(data.set(user, room, std::move(type), content));
  };
  EXPECT_TRUE(set(0, "a", 1000).ok());
  EXPECT_TRUE(set(0, "b", 1000).ok());
  const auto large = set(0, "c", 3000);
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code, ErrorCode::kTooLarge);
  EXPECT_TRUE(set(0, "c", 1).ok());
  EXPECT_FALSE(set(0, "d", 1).ok()) << "too many types";
  EXPECT_FALSE(set(0, "a", 3000).ok());
  EXPECT_TRUE(set(0, "a", 1500).ok());
  EXPECT_TRUE(set(0, "a", 1).ok());
  EXPECT_TRUE(set(7, "a", 3500).ok());
  EXPECT_FALSE(set(8, "a", 3500).ok()) << "of all rooms together";
  EXPECT_TRUE(set(8, "a", 1).ok());
  EXPECT_FALSE(set(9, "a", 1).ok());
  EXPECT_TRUE(set(8, "a", 0).ok());
}

TEST_F(UsersTest, AccountDataHasPositionsAndChanges) {
  const UserId alice = add("alice");
  const auto number = **names_->find(stores::NameKind::kUser, alice.view());
  const auto first = run(data_->set(number, 0, "m.direct", *json::parse_object(R"({"a":1})")));
  const auto second =
      run(data_->set(number, 7, "m.tag", *json::parse_object(R"({"tags":{"u.x":{"order":0.5}}})")));
  ASSERT_TRUE(second.ok());
  EXPECT_GT(*second, *first);
  EXPECT_EQ(*run(data_->get(number, 7, "m.tag")), R"({"tags":{"u.x":{"order":0.5}}})");
  EXPECT_EQ(run(data_->get(number, 0, "m.tag")).error().code, ErrorCode::kNotFound);
  const auto changes =
      stores::read_account_data_changes(*database_->snapshot(), number, *first, *second);
  ASSERT_EQ(changes->size(), 1u);
  EXPECT_EQ(changes->at(0), std::pair(stores::RoomNumber{7}, std::string("m.tag")));
  EXPECT_EQ(stores::read_all_account_data(*database_->snapshot(), number, 0)->size(), 1u);
  // Of what was replaced, the stream keeps nothing.
  const auto third = run(data_->set(number, 7, "m.tag", {}));
  EXPECT_TRUE(
      stores::read_account_data_changes(*database_->snapshot(), number, *first, *second)->empty());
  EXPECT_EQ(
      stores::read_account_data_changes(*database_->snapshot(), number, *second, *third)->size(),
      1u);
  EXPECT_EQ(run(data_->set(number, 0, std::string(256, 'x'), {})).error().code,
            ErrorCode::kInvalid);
  EXPECT_EQ(run(data_->set(number, 0, "x", {{"a", std::string(70'000, 'x')}})).error().code,
            ErrorCode::kTooLarge);
}

TEST_F(UsersTest, FiltersAddedAtOnceGetIdsOfTheirOwn) {
  const auto number = **names_->find(stores::NameKind::kUser, add("alice").view());
  std::vector<std::string> ids(2);
  for (size_t i = 0; i < ids.size(); ++i) {
    runtime::spawn(*runtime_, runtime_->shard(0), "filter",
                   [](AccountData& data, stores::UserNumber user, std::string name,
                      std::string& id) -> Task<void> {
                     id = *co_await data.add_filter(user, {{"name", name}});
                   }(*data_, number, std::to_string(i), ids[i]));
  }
  EXPECT_TRUE(
      simulation_->run_until([&] { return !ids[0].empty() && !ids[1].empty(); }, Millis(60'000)));
  EXPECT_EQ(*run(data_->filter(number, ids[0])), R"({"name":"0"})");
  EXPECT_EQ(*run(data_->filter(number, ids[1])), R"({"name":"1"})");
}

TEST_F(UsersTest, TheSameFilterIsKeptOnce) {
  const auto number = **names_->find(stores::NameKind::kUser, add("alice").view());
  const auto first = run(data_->add_filter(number, *json::parse_object(R"({"room":{}})")));
  EXPECT_EQ(*run(data_->add_filter(number, *json::parse_object(R"({"room":{}})"))), *first);
  EXPECT_NE(*run(data_->add_filter(number, {})), *first);
  EXPECT_EQ(*run(data_->filter(number, *first)), R"({"room":{}})");
  for (const char* id : {"", "x", "99", "1x"})
    EXPECT_FALSE(run(data_->filter(number, id)).ok()) << id;
}

}  // namespace
}  // namespace polder::users
