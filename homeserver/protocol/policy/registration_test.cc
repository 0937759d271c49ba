#include <gtest/gtest.h>

#include "homeserver/protocol/policy/decide.h"

namespace polder::policy {
namespace {

std::string_view rule_of(const Decision& decision) {
  const Refusal* refusal = refusal_of(decision);
  return refusal != nullptr ? refusal->rule : "";
}

TEST(RegistrationRule, AnybodyRegistersWhereItIsOpenAndAdministratorsEverywhere) {
  const Act act{.point = Point::kRegister};
  for (const bool open : {true, false}) {
    const Facts facts{.registration = Registration{.open = open}};
    EXPECT_EQ(rule_of(decide(act, Client(), facts)), open ? "" : "registration");
    EXPECT_EQ(rule_of(decide(act, Administrator(), facts)), "");
    EXPECT_EQ(privilege_of(decide(act, Administrator(), facts)), "administrator");
    EXPECT_EQ(rule_of(decide(act, ApplicationService(), facts)), "");
  }
  EXPECT_EQ(rule_of(decide({.point = Point::kLogin}, Client(),
                           {.registration = Registration{.open = false}})),
            "");
}

}  // namespace
}  // namespace polder::policy
