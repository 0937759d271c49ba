#include "appservices/registry/pattern.h"

#include <chrono>

namespace polder::appservices {
namespace {

TEST(Pattern, MatchesFromTheBeginningToWherever) {
  struct Case {
    const char* regex;
    const char* text;
    bool matches;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"@_irc_.*", "@_irc_alice:own", true},
           {"@_irc_", "@_irc_alice:own", true},
           {"@_irc_.*", "@x_irc_alice:own", false},
           {"_irc_.*", "@_irc_alice:own", false},
           {"@_irc_.*:own$", "@_irc_alice:own.example", false},
           {"@_irc_[a-z]+:own", "@_irc_alice:own", true},
           {"@(irc|xmpp)_\\d+", "@xmpp_5:own", true},
           {"#_irc_#\\w+", "#_irc_#matrix:own", true},
           {".*", "", true},
           {"@\\p{Greek}", "@\u03b1:own", true},
           {"@.", "@\xff", false},
       }) {
    EXPECT_EQ(Pattern::compile(c.regex)->matches(c.text), c.matches) << c.regex << " " << c.text;
  }
}

TEST(Pattern, WhatCannotBeMatchedInLinearTimeIsRefused) {
  for (const std::string& regex :
       {std::string(), std::string("("), std::string("[z-a]"), std::string("*"),
        std::string("(?!@admin).*"), std::string("(a)\\1"), std::string("a{1000}{1000}"),
        std::string("((((x{100}){100}){100}){100})"), std::string(kRegexBytesMax + 1, 'a')}) {
    EXPECT_FALSE(Pattern::compile(regex).ok()) << regex;
  }
}

// Where a matcher that tries one way after the other would need ages.
TEST(Pattern, HostileIdsTakeNoLongerThanOthers) {
  const std::string hostile = "@" + std::string(254, 'a');
  const auto begun = std::chrono::steady_clock::now();
  for (const char* regex : {"@(a+)+$b", "@(a|aa)+!", "@(.*)*x", "@(a?){100}a{100}z"}) {
    const auto pattern = Pattern::compile(regex);
    ASSERT_TRUE(pattern.ok()) << regex;
    for (int i = 0; i < 100; ++i)
      EXPECT_FALSE(pattern->matches(hostile)) << regex;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20));
}

}  // namespace
}  // namespace polder::appservices
