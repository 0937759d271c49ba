#include "homeserver/users/accounts/testing/accounts.h"

namespace polder::users {
namespace {

TEST_F(AccountsTest, NamesAreTakenOnceInLowerCase) {
  EXPECT_EQ(add("Alice").str(), "@alice:own.example");
  NewAccount account;
  account.localpart = "alice";
  EXPECT_EQ(run(accounts_->register_user(account)).error().code, ErrorCode::kExists);
  EXPECT_EQ(run(accounts_->check_available("alice")).error().code, ErrorCode::kExists);
  EXPECT_TRUE(run(accounts_->check_available("bob")).ok());
  for (const char* name : {"a b", "\xc3\xa9", "a:b", "@a"}) {
    account.localpart = name;
    EXPECT_EQ(run(accounts_->register_user(account)).error().code, ErrorCode::kInvalid) << name;
  }
}

TEST_F(AccountsTest, APasswordIsNeitherEmptyNorEndless) {
  const UserId alice = add("alice");
  for (const std::string& password : {std::string(), std::string(kPasswordBytesMax + 1, 'x')}) {
    EXPECT_FALSE(run(accounts_->set_password(alice, password)).ok());
    NewAccount account;
    account.localpart = "bob";
    account.password = password;
    EXPECT_FALSE(run(accounts_->register_user(account)).ok());
  }
}

// What is on record of a change, say.
TEST_F(AccountsTest, RowsAreCommittedWithAChangeOrNotAtAll) {
  const UserId alice = add("alice");
  const stores::UserNumber number = number_of(alice);
  const auto row = [&](uint64_t filter) {
    kv::Batch batch;
    stores::put_filter(batch, number, filter, "{}");
    return batch;
  };
  const auto has = [&](uint64_t filter) {
    return stores::read_filter(*database_->snapshot(), number, filter)->has_value();
  };
  EXPECT_TRUE(run(accounts_->set_password(alice, "another", std::nullopt, row(1))).ok());
  EXPECT_TRUE(has(1));
  EXPECT_TRUE(run(accounts_->deactivate(alice, false, row(2))).ok());
  EXPECT_TRUE(has(2));
  EXPECT_FALSE(run(accounts_->set_password(alice, "late", std::nullopt, row(3))).ok());
  EXPECT_FALSE(has(3));
}

}  // namespace
}  // namespace polder::users
