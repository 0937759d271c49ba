// Accounts on a store in memory: for tests.
#pragma once

#include <gtest/gtest.h>

#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/testing/outcome.h"
#include "homeserver/users/accounts/accounts.h"
#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"

namespace polder::users {

inline const ServerName kOwn = ServerName::trusted("own.example");

class AccountsTest : public testing::Test {
 protected:
  AccountsTest() { AccountsTest::boot(); }
  ~AccountsTest() override { AccountsTest::halt(); }

  // What derives from it makes its own after these, and destroys it between end_tasks() and halt().
  void boot() {
    simulation_ = runtime::Simulation::create(++boots_);
    runtime_ = simulation_->add_runtime("a");
    database_ = kv::open_memory(stores::kColumns, disk_);
    committer_ = kv::Committer::create(*runtime_, *database_);
    committer_->on_visible([this](kv::Position) { ++groups_; });
    names_ = *stores::Names::open(*database_);
    accounts_ = std::make_unique<Accounts>(parts());
    running_ = true;
  }
  void end_tasks() {
    if (std::exchange(running_, false)) simulation_->crash(*runtime_);
  }
  void halt() {
    end_tasks();
    accounts_.reset();
    names_.reset();
    committer_.reset();
    database_.reset();
    runtime_.reset();
    simulation_.reset();
  }
  Parts parts() { return {*runtime_, *database_, *committer_, *names_, kOwn}; }
  template <class T>
  T run(Task<T> task) {
    return runtime::outcome(*simulation_, *runtime_, std::move(task));
  }
  UserId add(std::string name) {
    NewAccount account;
    account.localpart = std::move(name);
    account.password = "secret";
    return *run(accounts_->register_user(account));
  }
  stores::UserNumber number_of(const UserId& user) {
    return **names_->find(stores::NameKind::kUser, user.view());
  }

  uint64_t boots_ = 0;
  bool running_ = false;
  size_t groups_ = 0;  // that were written
  kv::MemoryDisk disk_;
  std::unique_ptr<runtime::Simulation> simulation_;
  std::unique_ptr<runtime::Runtime> runtime_;
  std::unique_ptr<kv::Database> database_;
  std::unique_ptr<kv::Committer> committer_;
  std::unique_ptr<stores::Names> names_;
  std::unique_ptr<Accounts> accounts_;
};

}  // namespace polder::users
