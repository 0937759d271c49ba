#include "homeserver/base/values/log.h"

namespace polder::base {
namespace {

std::string line(std::initializer_list<LogField> fields) {
  return format_log_line("event", {fields.begin(), fields.size()});
}

TEST(Log, WritesPlainValuesPlainly) {
  EXPECT_EQ(line({{"room", "!a:b"}, {"count", 5}}), "event room=!a:b count=5");
}

TEST(Log, HostileValuesForgeNothing) {
  EXPECT_EQ(line({{"a", "x\nevent b=1"}}), R"(event a="x\x0aevent b=1")");
  EXPECT_EQ(line({{"a", "x\" b=1"}}), R"(event a="x\" b=1")");
  EXPECT_EQ(line({{"a", "b=c"}}), R"(event a="b=c")");
  EXPECT_EQ(line({{"a", ""}}), R"(event a="")");
  EXPECT_EQ(line({{"a", "\x1b[31m"}}), R"(event a="\x1b[31m")");
  EXPECT_LT(line({{"a", std::string(100'000, 'x')}}).size(), 1100u);
}

}  // namespace
}  // namespace polder::base
