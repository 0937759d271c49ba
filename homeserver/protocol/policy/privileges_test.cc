#include <gtest/gtest.h>

#include "homeserver/protocol/policy/decide.h"

namespace polder::policy {
namespace {

TEST(PrivilegesRule, WhatAdministratorsAndModeratorsDoIsAPrivilege) {
  for (size_t i = 0; i < kPoints; ++i) {
    const Act act{.point = static_cast<Point>(i)};
    const bool moderation = act.point == Point::kKick || act.point == Point::kBan;
    EXPECT_EQ(privilege_of(decide(act, Administrator(), {})), "administrator");
    EXPECT_EQ(privilege_of(decide(act, Client(), {})), moderation ? "moderation" : "");
    EXPECT_EQ(privilege_of(decide(act, Server(), {})), moderation ? "moderation" : "");
  }
}

}  // namespace
}  // namespace polder::policy
