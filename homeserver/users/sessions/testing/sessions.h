// Users with sessions on a store in memory: for tests.
#pragma once

#include "homeserver/users/accounts/testing/accounts.h"
#include "homeserver/users/sessions/sessions.h"

namespace polder::users {

class SessionsTest : public AccountsTest {
 protected:
  SessionsTest() { open(); }
  ~SessionsTest() override { SessionsTest::halt(); }

  void open() { sessions_ = std::make_unique<Sessions>(*accounts_); }
  void halt() {
    end_tasks();
    sessions_.reset();
    AccountsTest::halt();
  }
  void crash() {
    halt();
    disk_.power_loss();
    boot();
    open();
  }

  std::unique_ptr<Sessions> sessions_;
};

}  // namespace polder::users
