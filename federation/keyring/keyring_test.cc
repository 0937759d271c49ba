#include "federation/keyring/keyring.h"

#include "homeserver/base/json/write.h"
#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/sync.h"
#include "homeserver/base/runtime/testing/outcome.h"
#include "homeserver/base/values/bytes.h"
#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"
#include "storage/stores/federation/federation_rows.h"

namespace polder::keyring {
namespace {

constexpr int64_t kDayMs = 24 * 3600 * 1000LL;

class FakeServers final : public transport::Servers {
 public:
  explicit FakeServers(runtime::Runtime& runtime) : runtime_(runtime) {}
  std::optional<json::Object> answer;
  int asked = 0;
  bool busy = false;
  egress::Demand demand;  // of the last call
  Task<Result<http::ClientResponse>> call(ServerName, transport::Call call) override {
    ++asked;
    EXPECT_EQ(call.path, "/_matrix/key/v2/server");
    EXPECT_FALSE(call.authenticated);
    EXPECT_FALSE(call.body.has_value());
    co_await runtime::sleep_for(runtime_, Millis(10));
    demand = call.demand;
    if (busy) co_return fail(ErrorCode::kRateLimited, "no place");
    if (!answer) co_return fail(ErrorCode::kUnavailable, "down");
    http::ClientResponse response;
    response.status = 200;
    response.body = json::write(*answer);
    co_return response;
  }
  Millis back_off(const ServerName&) const override { return Millis(0); }
  void heard_from(const ServerName&) override {}

 private:
  runtime::Runtime& runtime_;
};

crypto::SigningKey make_key(char c) {
  return std::move(
      *crypto::SigningKey::from_seed(KeyId::trusted(std::string("ed25519:") + c),
                                     base::base64_encode(as_bytes(std::string(32, c)))));
}

class KeyringTest : public testing::Test {
 protected:
  KeyringTest() { restart(); }
  ~KeyringTest() override { committer_->stop(); }

  void restart() { keyring_ = std::make_unique<Keyring>(parts()); }
  KeyringParts parts() { return {*runtime_, *database_, *committer_, servers_, own_, own_key_}; }
  Result<crypto::VerifyKey> key(const ServerName& server, const KeyId& id, int64_t valid_at) {
    return runtime::outcome(*simulation_, *runtime_, keyring_->key(server, id, valid_at));
  }
  Result<crypto::VerifyKey> stranger(const ServerName& server, const KeyId& id) {
    return runtime::outcome(*simulation_, *runtime_,
                            keyring_->key_for_stranger(server, id, now(), "7.7.7.7"));
  }
  int64_t now() const { return runtime_->clock().wall_ms(); }

  std::unique_ptr<runtime::Simulation> simulation_ = runtime::Simulation::create(1);
  std::unique_ptr<runtime::Runtime> runtime_ = simulation_->add_runtime("a");
  kv::MemoryDisk disk_;
  std::unique_ptr<kv::Database> database_ = kv::open_memory(stores::kColumns, disk_);
  std::unique_ptr<kv::Committer> committer_ = kv::Committer::create(*runtime_, *database_);
  FakeServers servers_{*runtime_};
  const ServerName own_ = ServerName::trusted("own.example");
  const ServerName other_ = ServerName::trusted("other.example");
  const crypto::SigningKey own_key_ = make_key('0');
  const crypto::SigningKey key_ = make_key('1');
  const crypto::SigningKey old_ = make_key('2');
  std::unique_ptr<Keyring> keyring_;
};

TEST_F(KeyringTest, TheOwnKeyIsKnown) {
  EXPECT_EQ(*key(own_, own_key_.id(), now()), own_key_.verify_key());
  EXPECT_EQ(key(own_, key_.id(), now()).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(servers_.asked, 0);
}

TEST_F(KeyringTest, AKeyIsFetchedOnceAndSurvivesARestart) {
  servers_.answer = wire::write_server_keys(other_, key_, {}, now() + kDayMs);
  EXPECT_EQ(*key(other_, key_.id(), now()), key_.verify_key());
  EXPECT_TRUE(key(other_, key_.id(), 0).ok());
  EXPECT_EQ(servers_.asked, 1);
  simulation_->run_for(Millis(5000));
  servers_.answer.reset();
  restart();
  EXPECT_EQ(*key(other_, key_.id(), now()), key_.verify_key());
  EXPECT_EQ(servers_.asked, 1);
}

TEST_F(KeyringTest, RequestsAtOnceShareOneFetch) {
  servers_.answer = wire::write_server_keys(other_, key_, {}, now() + kDayMs);
  int done = 0;
  for (int i = 0; i < 20; ++i) {
    runtime::spawn(
        *runtime_, runtime_->shard(0), "ask",
        [](Keyring& keyring, ServerName server, KeyId id, int64_t at, int& count) -> Task<void> {
          EXPECT_TRUE((co_await keyring.key(server, id, at)).ok());
          ++count;
        }(*keyring_, other_, key_.id(), now(), done));
  }
  simulation_->run_for(Millis(1000));
  EXPECT_EQ(done, 20);
  EXPECT_EQ(servers_.asked, 1);
}

TEST_F(KeyringTest, ValidityIsALimitOfAWeek) {
  const int64_t fetched = now();
  servers_.answer = wire::write_server_keys(other_, key_, {}, fetched + 365 * kDayMs);
  EXPECT_TRUE(key(other_, key_.id(), fetched + 6 * kDayMs).ok());
  EXPECT_EQ(key(other_, key_.id(), fetched + 8 * kDayMs).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(key(other_, key_.id(), 0).ok());
}

TEST_F(KeyringTest, OldKeysCountUpToTheirEnd) {
  const int64_t expired = now() - kDayMs;
  servers_.answer = wire::write_server_keys(
      other_, key_, {{old_.id(), {old_.verify_key(), expired}}}, now() + kDayMs);
  EXPECT_EQ(*key(other_, old_.id(), expired), old_.verify_key());
  EXPECT_FALSE(key(other_, old_.id(), expired + 1).ok());
  EXPECT_TRUE(key(other_, old_.id(), 0).ok());
}

TEST_F(KeyringTest, AKeyThatIsNoLongerMentionedKeepsItsPast) {
  const int64_t first = now();
  servers_.answer = wire::write_server_keys(other_, old_, {}, first + 1000);
  EXPECT_TRUE(key(other_, old_.id(), first).ok());
  simulation_->run_for(Millis(120'000));
  servers_.answer = wire::write_server_keys(other_, key_, {}, now() + kDayMs);
  EXPECT_TRUE(key(other_, key_.id(), now()).ok());
  EXPECT_TRUE(key(other_, old_.id(), first + 1000).ok());
  EXPECT_FALSE(key(other_, old_.id(), now()).ok());
}

TEST_F(KeyringTest, FailuresAreRememberedForAMoment) {
  EXPECT_EQ(key(other_, key_.id(), now()).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(key(other_, key_.id(), now()).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(servers_.asked, 1);
  simulation_->run_for(Millis(61'000));
  servers_.answer = wire::write_server_keys(other_, key_, {}, now() + kDayMs);
  EXPECT_TRUE(key(other_, key_.id(), now()).ok());
  for (char c = 'a'; c < 'k'; ++c)
    EXPECT_EQ(key(other_, make_key(c).id(), now()).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(servers_.asked, 2);
}

TEST_F(KeyringTest, AnAnswerThatIsNotSignedIsNotBelieved) {
  servers_.answer = wire::write_server_keys(other_, key_, {}, now() + kDayMs);
  servers_.answer->erase("signatures");
  EXPECT_EQ(key(other_, key_.id(), now()).error().code, ErrorCode::kBadSignature);
}

TEST_F(KeyringTest, WhatStrangersAskForIsNotWrittenDownUntilItIsNeeded) {
  servers_.answer = wire::write_server_keys(other_, key_, {}, now() + kDayMs);
  const auto is_kept = [&] {
    simulation_->run_for(Millis(5000));
    return stores::read_known_keys(*database_->snapshot(), other_)->has_value();
  };
  EXPECT_TRUE(stranger(other_, key_.id()).ok());
  EXPECT_TRUE(stranger(other_, key_.id()).ok());
  EXPECT_EQ(servers_.asked, 1);
  EXPECT_FALSE(is_kept());
  EXPECT_TRUE(key(other_, key_.id(), now()).ok());
  EXPECT_EQ(servers_.asked, 1);
  EXPECT_TRUE(is_kept());
}

TEST_F(KeyringTest, EachRequestNamesWhoCausesIt) {
  servers_.answer = wire::write_server_keys(other_, key_, {}, now() + kDayMs);
  EXPECT_TRUE(stranger(other_, key_.id()).ok());
  EXPECT_EQ(servers_.demand.cause, egress::Cause::kStranger);
  EXPECT_EQ(servers_.demand.by, "7.7.7.7");
  EXPECT_TRUE(key(other_, key_.id(), now()).ok());
  simulation_->run_for(Millis(61'000));
  // It has to do with somebody here by now.
  EXPECT_FALSE(stranger(other_, old_.id()).ok());
  EXPECT_EQ(servers_.asked, 2);
  EXPECT_EQ(servers_.demand.cause, egress::Cause::kRooms);
}

TEST_F(KeyringTest, AStrangerHasFewServersAsked) {
  const auto asks_left = std::make_shared<std::atomic<int>>(3);
  for (int i = 0; i < 10; ++i) {
    const auto server = ServerName::trusted("s" + std::to_string(i) + ".example");
    static_cast<void>(runtime::outcome(*simulation_, *runtime_,
                                       keyring_->signed_keys(server, now(), "7.7.7.7", asks_left)));
  }
  EXPECT_EQ(servers_.asked, 3);
}

// That there was no place says nothing of the server, which may be asked as soon as there is one.
TEST_F(KeyringTest, WhereThereWasNoPlaceOthersMayAskAtOnce) {
  servers_.busy = true;
  EXPECT_EQ(stranger(other_, key_.id()).error().code, ErrorCode::kUnavailable);
  servers_.busy = false;
  servers_.answer = wire::write_server_keys(other_, key_, {}, now() + kDayMs);
  EXPECT_TRUE(key(other_, key_.id(), now()).ok());
}

}  // namespace
}  // namespace polder::keyring
