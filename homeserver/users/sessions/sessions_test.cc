#include "homeserver/users/sessions/testing/sessions.h"
#include "storage/stores/users/key_rows.h"

namespace polder::users {
namespace {

TEST_F(SessionsTest, OnlyTheRightPasswordOfAnActiveUserPasses) {
  const UserId alice = add("alice");
  EXPECT_TRUE(run(accounts_->check_password(alice, "secret")).ok());
  EXPECT_EQ(run(accounts_->check_password(alice, "Secret")).error().code, ErrorCode::kForbidden);
  EXPECT_EQ(run(accounts_->check_password(alice, "")).error().code, ErrorCode::kForbidden);
  EXPECT_EQ(
      run(accounts_->check_password(UserId::trusted("@nobody:own.example"), "secret")).error().code,
      ErrorCode::kForbidden);
  ASSERT_TRUE(run(accounts_->set_password(alice, "another")).ok());
  EXPECT_FALSE(run(accounts_->check_password(alice, "secret")).ok());
  ASSERT_TRUE(run(accounts_->deactivate(alice)).ok());
  EXPECT_TRUE(run(accounts_->check_password(alice, "another"))->deactivated);
  EXPECT_FALSE(run(accounts_->check_password(alice, "wrong")).ok());
  EXPECT_FALSE(run(accounts_->check_password(alice, "")).ok());
  EXPECT_EQ(run(sessions_->log_in(alice, {})).error().code, ErrorCode::kForbidden);
  ASSERT_TRUE(run(accounts_->deactivate(alice, true)).ok());
  EXPECT_FALSE(run(accounts_->check_password(alice, "another")).ok()) << "nothing is kept of it";
  EXPECT_EQ(run(accounts_->check_available("alice")).error().code, ErrorCode::kExists);
}

TEST_F(SessionsTest, TokensOutliveACrashAndEndWithTheirDevice) {
  const UserId alice = add("alice");
  NewSession wanted;
  wanted.device = DeviceId::trusted("PHONE");
  wanted.display_name = "phone";
  const auto phone = run(sessions_->log_in(alice, wanted));
  const auto laptop = run(sessions_->log_in(alice, {}));
  ASSERT_TRUE(phone.ok());
  crash();
  const auto session = run(sessions_->authenticate(phone->access_token));
  ASSERT_TRUE(session.ok());
  EXPECT_EQ(session->user, alice);
  EXPECT_EQ(session->device.str(), "PHONE");
  EXPECT_EQ(run(sessions_->devices(alice))->size(), 2u);
  ASSERT_TRUE(run(sessions_->log_out(*session)).ok());
  EXPECT_EQ(run(sessions_->authenticate(phone->access_token)).error().code,
            ErrorCode::kUnauthenticated);
  EXPECT_TRUE(run(sessions_->authenticate(laptop->access_token)).ok());
  ASSERT_TRUE(run(sessions_->log_out_everywhere(alice)).ok());
  EXPECT_FALSE(run(sessions_->authenticate(laptop->access_token)).ok());
}

// What a device was answered ends with it, so that a new one with its id is not answered with it;
// even if it came while the device ended.
TEST_F(SessionsTest, ANewDeviceHasNoTransactionsOfAnOldOne) {
  const UserId alice = add("alice");
  NewSession wanted;
  wanted.device = DeviceId::trusted("PHONE");
  const EventId event = EventId::trusted("$event");
  const auto log_in = [&](const char* device) {
    wanted.device = DeviceId::trusted(device);
    return run(sessions_->log_in(alice, wanted))->session;
  };
  const auto put = [&](const Session& session) {
    kv::Batch batch;
    stores::put_transaction(batch, session.number, session.device, "send", "t", "$event");
    stores::put_event_transaction(batch, session.number, session.device, event, "t");
    ASSERT_TRUE(run(committer_->commit(std::move(batch))).ok());
  };
  const auto there = [&](const Session& session) {
    const auto snapshot = database_->snapshot();
    const auto answer =
        stores::read_transaction(*snapshot, session.number, session.device, "send", "t");
    const auto id =
        stores::read_event_transaction(*snapshot, session.number, session.device, event);
    EXPECT_EQ(answer->has_value(), id->has_value());
    return answer->has_value();
  };
  const Session phone = log_in("PHONE"), tablet = log_in("TABLET");
  put(phone);
  put(tablet);
  log_in("PHONE");
  EXPECT_TRUE(there(phone)) << "the device is the same";
  ASSERT_TRUE(run(sessions_->log_out(phone)).ok());
  EXPECT_FALSE(there(phone));
  EXPECT_TRUE(there(tablet));
  put(phone);
  log_in("PHONE");
  EXPECT_FALSE(there(phone));
  EXPECT_TRUE(there(tablet));
}

TEST_F(SessionsTest, ANewLoginOfADeviceEndsTheOldOne) {
  const UserId alice = add("alice");
  NewSession wanted;
  wanted.device = DeviceId::trusted("PHONE");
  const auto first = run(sessions_->log_in(alice, wanted));
  ASSERT_TRUE(run(sessions_->authenticate(first->access_token)).ok());
  const auto second = run(sessions_->log_in(alice, wanted));
  EXPECT_FALSE(run(sessions_->authenticate(first->access_token)).ok());
  EXPECT_TRUE(run(sessions_->authenticate(second->access_token)).ok());
}

// However the reads and writes of both fall.
TEST_F(SessionsTest, ASessionThatEndsBesideItsRequestsNeverAnswersAgain) {
  using End = std::function<Task<Status>(const SessionToken&)>;
  const std::vector<End> ends = {
      [&](const SessionToken& token) { return sessions_->log_out(token.session); },
      [&](const SessionToken& token) { return sessions_->log_out_everywhere(token.session.user); },
      [&](const SessionToken& token) {
        return accounts_->set_password(token.session.user, "another", DeviceId::trusted("OTHER"));
      },
      [&](const SessionToken& token) { return accounts_->deactivate(token.session.user); },
  };
  for (size_t round = 0; round < 120; ++round) {
    NewAccount account;
    account.localpart = "user" + std::to_string(round);
    const UserId user = *run(accounts_->register_user(account));
    const auto token = run(sessions_->log_in(user, {}));
    ASSERT_TRUE(token.ok());
    for (int request = 0; request < 8; ++request) {
      runtime::spawn(*runtime_, runtime_->shard(0), "request",
                     [](Sessions& sessions, std::string text, int after,
                        runtime::Runtime& runtime) -> Task<void> {
                       co_await runtime::sleep_for(runtime, Millis(after));
                       (void)co_await sessions.authenticate(text);
                     }(*sessions_, token->access_token, request, *runtime_));
    }
    ASSERT_TRUE(run(ends[round % ends.size()](*token)).ok());
    for (int again = 0; again < 3; ++again) {
      EXPECT_EQ(run(sessions_->authenticate(token->access_token)).error().code,
                ErrorCode::kUnauthenticated);
      simulation_->run_for(Millis(5));
    }
  }
}

TEST_F(SessionsTest, ARememberedSessionEndsWhenItsTimeHasCome) {
  const UserId alice = add("alice");
  const auto token = run(sessions_->log_in(alice, {}));
  kv::Batch batch;
  stores::SessionRow row;
  row.user = token->session.number;
  row.device = token->session.device;
  row.kind = 1;
  row.expires_ms = runtime_->clock().wall_ms() + 60'000;
  stores::put_session(batch, token->session.token, row);
  ASSERT_TRUE(run(committer_->commit(std::move(batch))).ok());
  EXPECT_TRUE(run(sessions_->authenticate(token->access_token)).ok());
  simulation_->run_for(Millis(61'000));
  EXPECT_FALSE(run(sessions_->authenticate(token->access_token)).ok());
}

TEST_F(SessionsTest, NobodyEntersWithAPasswordThatWasChangedMeanwhile) {
  const UserId alice = add("alice");
  NewSession wanted;
  wanted.password_hash = run(accounts_->check_password(alice, "secret"))->password_hash;
  EXPECT_TRUE(run(sessions_->log_in(alice, wanted)).ok());
  ASSERT_TRUE(run(accounts_->set_password(alice, "another", DeviceId::trusted("OTHER"))).ok());
  EXPECT_EQ(run(sessions_->log_in(alice, wanted)).error().code, ErrorCode::kForbidden);
  EXPECT_TRUE(run(sessions_->devices(alice))->empty());
}

TEST_F(SessionsTest, ADeviceIsNotNamedLikeACrossSigningKey) {
  const UserId alice = add("alice");
  const auto number = **names_->find(stores::NameKind::kUser, alice.view());
  kv::Batch batch;
  stores::put_cross_signing_key(batch, number, "master", R"({"keys":{"ed25519:KEY":"KEY"}})");
  ASSERT_TRUE(run(committer_->commit(std::move(batch))).ok());
  NewSession wanted;
  wanted.device = DeviceId::trusted("KEY");
  EXPECT_EQ(run(sessions_->log_in(alice, wanted)).error().code, ErrorCode::kInvalid);
}

TEST_F(SessionsTest, BadTokensAreRefused) {
  for (const char* token : {"", "pat_", "rubbish", "pat_00000000000000000000000000000000_000000"}) {
    EXPECT_EQ(run(sessions_->authenticate(token)).error().code, ErrorCode::kUnauthenticated)
        << token;
  }
}

}  // namespace
}  // namespace polder::users
