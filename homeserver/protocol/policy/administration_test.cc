#include <gtest/gtest.h>

#include <array>

#include "homeserver/protocol/policy/decide.h"

namespace polder::policy {
namespace {

TEST(AdministrationRule, OthersAccountsAndTheServersWorkAreForAdministrators) {
  const Client alice{UserId::trusted("@alice:own")};
  struct Case {
    Point point;
    std::string target;
    Actor actor;
    bool permitted;
  };
  const std::array cases = {
      Case{Point::kPassword, "@alice:own", alice, true},
      Case{Point::kDeactivate, "@alice:own", alice, true},
      Case{Point::kPassword, "@bob:own", alice, false},
      Case{Point::kDeactivate, "@bob:own", alice, false},
      Case{Point::kPassword, "@bob:own", ApplicationService{"irc"}, false},
      Case{Point::kPurge, "", alice, false},
      Case{Point::kStopJob, "audit_retention", alice, false},
      Case{Point::kPassword, "@bob:own", Administrator(), true},
      Case{Point::kDeactivate, "@bob:own", Administrator(), true},
      Case{Point::kPurge, "", Administrator(), true},
      Case{Point::kStopJob, "audit_retention", Administrator(), true},
      Case{Point::kPurge, "", Server(), true},
      Case{Point::kKick, "@bob:own", alice, true},
  };
  for (const Case& c : cases) {
    const Decision decision = decide({.point = c.point, .target = c.target}, c.actor, {});
    EXPECT_EQ(refusal_of(decision) == nullptr, c.permitted)
        << to_string(c.point) << " " << c.target << " " << kind_of(c.actor);
  }
}

}  // namespace
}  // namespace polder::policy
