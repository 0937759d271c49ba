// Accounts on a store in memory: for tests.
#pragma once

#include "homeserver/users/accounts/accounts.h"
#include "storage/stores/base/testing/store.h"

namespace polder::users {

inline const ServerName kOwn = ServerName::trusted("own.example");

class AccountsTest : public stores::StoreTest {
 protected:
  AccountsTest() { AccountsTest::boot(); }
  ~AccountsTest() override { AccountsTest::halt(); }

  // What derives from it makes its own after these, and destroys it between end_tasks() and halt().
  void boot() {
    StoreTest::boot();
    committer_->on_visible([this](kv::Position) { ++groups_; });
    accounts_ = std::make_unique<Accounts>(parts());
  }
  void halt() {
    end_tasks();
    accounts_.reset();
    StoreTest::halt();
  }
  Parts parts() { return {*runtime_, *database_, *committer_, *names_, kOwn}; }
  UserId add(std::string name) {
    NewAccount account;
    account.localpart = std::move(name);
    account.password = "secret";
    return *run(accounts_->register_user(account));
  }
  stores::UserNumber number_of(const UserId& user) {
    return **names_->find(stores::NameKind::kUser, user.view());
  }

  size_t groups_ = 0;  // that were written
  std::unique_ptr<Accounts> accounts_;
};

}  // namespace polder::users
