#include <gtest/gtest.h>

#include <set>

#include "homeserver/protocol/policy/decide.h"

namespace polder::policy {
namespace {

std::string_view errcode(const Decision& decision) {
  const Refusal* refusal = refusal_of(decision);
  return refusal != nullptr ? refusal->errcode.view() : std::string_view();
}

TEST(GuestsRule, GuestsDoWhatTheSpecificationListsAndNothingElse) {
  const std::set<Point> allowed = {Point::kMessage, Point::kState,   Point::kRedact,
                                   Point::kLeave,   Point::kProfile, Point::kDownload,
                                   Point::kLogin,   Point::kRegister};
  for (size_t i = 0; i < kPoints; ++i) {
    const Act act{.point = static_cast<Point>(i), .type = "displayname"};
    Facts facts{.account = Account{.guest = true}};
    EXPECT_EQ(errcode(decide(act, Client(), facts)),
              allowed.contains(act.point) ? "" : "M_GUEST_ACCESS_FORBIDDEN")
        << to_string(act.point);
    facts.account->guest = false;
    const bool of_server = act.point == Point::kPurge || act.point == Point::kStopJob;
    EXPECT_EQ(errcode(decide(act, Client(), facts)), of_server ? "M_FORBIDDEN" : "")
        << to_string(act.point);
  }
}

TEST(GuestsRule, GuestsChangeNothingOfTheirProfileButTheirName) {
  const Act avatar{.point = Point::kProfile, .type = "avatar_url"};
  EXPECT_EQ(errcode(decide(avatar, Client(), {.account = Account{.guest = true}})),
            "M_GUEST_ACCESS_FORBIDDEN");
  EXPECT_EQ(errcode(decide(avatar, Client(), {.account = Account()})), "");
}

TEST(GuestsRule, GuestsJoinWhereTheRoomLetsThem) {
  const Act join{.point = Point::kJoin};
  for (const char* access : {"can_join", "forbidden", "", "CAN_JOIN"}) {
    const Facts facts{.account = Account{.guest = true}, .guest_access = access};
    EXPECT_EQ(refusal_of(decide(join, Client(), facts)) == nullptr,
              std::string_view(access) == "can_join")
        << access;
  }
}

}  // namespace
}  // namespace polder::policy
