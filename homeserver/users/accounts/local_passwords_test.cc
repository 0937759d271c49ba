#include "homeserver/users/accounts/local_passwords.h"

#include "homeserver/users/accounts/testing/accounts.h"

namespace polder::users {
namespace {

TEST_F(AccountsTest, APasswordOfThisServerProvesItsUser) {
  const UserId alice = add("alice");
  LocalPasswords passwords(*accounts_);
  const auto proof = run(passwords.check({kPasswordCredential, alice, "secret"}));
  ASSERT_TRUE(proof.ok());
  EXPECT_EQ(proof->user, alice);
  EXPECT_FALSE(proof->deactivated);
  EXPECT_EQ(proof->password_hash, run(accounts_->account(alice))->password_hash);
  EXPECT_EQ(run(passwords.check({kPasswordCredential, alice, "wrong"})).error().code,
            ErrorCode::kForbidden);
}

TEST_F(AccountsTest, WhatIsNoPasswordOfAUserIsNotForThisServerToTell) {
  const UserId alice = add("alice");
  LocalPasswords passwords(*accounts_);
  EXPECT_EQ(run(passwords.check({"m.login.token", alice, "secret"})).error().code,
            ErrorCode::kUnsupported);
  EXPECT_EQ(run(passwords.check({kPasswordCredential, {}, "secret"})).error().code,
            ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace polder::users
