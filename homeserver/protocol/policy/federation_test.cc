#include <gtest/gtest.h>

#include "homeserver/protocol/policy/decide.h"

namespace polder::policy {
namespace {

TEST(FederationRule, NothingPassesWhereItIsOffNorBetweenAServerAndItself) {
  const Actor other = Server{ServerName::trusted("other.example")};
  for (const Point point : {Point::kFederateIn, Point::kFederateOut, Point::kLogin}) {
    const bool between = point != Point::kLogin;
    const auto refused = [&](Federation federation) {
      return refusal_of(decide({.point = point}, other, {.federation = federation})) != nullptr;
    };
    EXPECT_FALSE(refused({}));
    EXPECT_EQ(refused({.off = true}), between);
    EXPECT_EQ(refused({.own_server = true}), between);
    EXPECT_EQ(refusal_of(decide({.point = point}, other, {})), nullptr);
  }
}

}  // namespace
}  // namespace polder::policy
