#include "homeserver/protocol/policy/act.h"

#include <gtest/gtest.h>

#include <array>

namespace polder::policy {
namespace {

TEST(Act, AnEventStandsForOne) {
  struct Case {
    EventShape event;
    Point point;
    std::string_view target;
  };
  const std::array cases = {
      Case{{"@a:b", "m.room.message"}, Point::kMessage, ""},
      Case{{"@a:b", "m.room.name", ""}, Point::kState, ""},
      Case{{"@a:b", "m.room.create", ""}, Point::kCreate, ""},
      Case{{"@a:b", "m.room.redaction", std::nullopt, "", "$x"}, Point::kRedact, "$x"},
      Case{{"@a:b", "m.room.redaction", "k", "", "$x"}, Point::kRedact, "$x"},
      Case{{"@a:b", "m.room.redaction"}, Point::kMessage, ""},
      Case{{"@a:b", "m.room.member", "@c:d", "invite"}, Point::kInvite, "@c:d"},
      Case{{"@a:b", "m.room.member", "@a:b", "join"}, Point::kJoin, "@a:b"},
      Case{{"@a:b", "m.room.member", "@a:b", "knock"}, Point::kKnock, "@a:b"},
      Case{{"@a:b", "m.room.member", "@a:b", "leave"}, Point::kLeave, "@a:b"},
      Case{{"@a:b", "m.room.member", "@c:d", "leave"}, Point::kKick, "@c:d"},
      Case{{"@a:b", "m.room.member", "@c:d", "ban"}, Point::kBan, "@c:d"},
  };
  for (const Case& c : cases) {
    const Act act = act_of("!r:b", c.event);
    EXPECT_EQ(act.point, c.point) << c.event.type << c.event.membership;
    EXPECT_EQ(act.target, c.target) << c.event.type;
    EXPECT_EQ(act.room, "!r:b");
  }
}

TEST(Act, EveryPointHasAWord) {
  for (size_t i = 0; i < kPoints; ++i) {
    const auto point = static_cast<Point>(i);
    EXPECT_EQ(point_of(to_string(point)), point);
  }
  EXPECT_EQ(point_of("dance"), std::nullopt);
}

}  // namespace
}  // namespace polder::policy
