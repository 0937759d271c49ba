#include "homeserver/users/accounts/session_cache.h"

#include <gtest/gtest.h>

namespace polder::users {
namespace {

Session session_of(stores::UserNumber user, int64_t expires_ms = 0) {
  Session session;
  session.number = user;
  session.token[0] = static_cast<uint8_t>(user);
  session.expires_ms = expires_ms;
  return session;
}

TEST(SessionCache, WhatWasReadBeforeAnEndIsNotRememberedAfterIt) {
  SessionCache cache;
  const Session alice = session_of(1);
  const auto sought = cache.find(alice.token, 0);
  EXPECT_FALSE(sought.session);
  cache.forget(1);
  cache.remember(alice, sought.ends);
  EXPECT_FALSE(cache.find(alice.token, 0).session);
  cache.remember(alice, cache.find(alice.token, 0).ends);
  EXPECT_TRUE(cache.find(alice.token, 0).session);
  cache.forget(1);
  EXPECT_FALSE(cache.find(alice.token, 0).session);
}

TEST(SessionCache, ForgetsOneUserAndWhatExpires) {
  SessionCache cache;
  const Session alice = session_of(1), bob = session_of(2, 100);
  for (const Session& session : {alice, bob})
    cache.remember(session, cache.find(session.token, 0).ends);
  EXPECT_TRUE(cache.find(bob.token, 99).session);
  EXPECT_FALSE(cache.find(bob.token, 100).session);
  cache.forget(1);
  EXPECT_FALSE(cache.find(alice.token, 0).session);
  EXPECT_TRUE(cache.find(bob.token, 0).session);
}

}  // namespace
}  // namespace polder::users
