#include "appservices/registry/pattern.h"

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

// A text costs as many steps as it has letters times the size: where a matcher that tries one way
// after the other would not come to an end.
TEST(Pattern, HostileExpressionsAreSmallOrRefused) {
  const std::string hostile = "@" + std::string(254, 'a');
  for (const char* regex : {"@(a+)+$b", "@(a|aa)+!", "@(.*)*x", "@(a?){100}a{100}z"}) {
    const auto pattern = Pattern::compile(regex);
    ASSERT_TRUE(pattern.ok()) << regex;
    EXPECT_LE(pattern->size(), 1000u) << regex;
    EXPECT_FALSE(pattern->matches(hostile)) << regex;
  }
  for (const char* regex : {"@(\\pL{100}){9}z", "@(?i)(.*[\\pL\\pN]){30}z"})
    EXPECT_FALSE(Pattern::compile(regex).ok()) << regex;
}

std::vector<Pattern> compile_all(const std::vector<std::string>& regexes) {
  std::vector<Pattern> patterns;
  for (const std::string& regex : regexes)
    patterns.push_back(*Pattern::compile(regex));
  return patterns;
}

TEST(PatternSet, FindsWhatEachOfItsPatternsFinds) {
  const std::vector<Pattern> patterns =
      compile_all({"@_irc_.*", "@_irc_", ".*", "_irc_.*", "@_irc_[a-z]+:own$", "@(irc|xmpp)_\\d+",
                   "@\\p{Greek}", "@.", "@_irc_.*", "@(a?){100}a{100}z", "@((a|b)*a(a|b){200})"});
  const auto set = PatternSet::compile(patterns);
  ASSERT_TRUE(set.ok());
  for (const std::string& text :
       {std::string("@_irc_alice:own"), std::string("@_irc_5:own.example"), std::string(),
        std::string("@xmpp_5:own"), std::string("@\u03b1:own"), std::string("@\xff"),
        std::string("x"), "@" + std::string(254, 'a'), "@" + std::string(120, 'a') + "z"}) {
    std::vector<size_t> expected;
    for (size_t i = 0; i < patterns.size(); ++i)
      if (patterns[i].matches(text)) expected.push_back(i);
    EXPECT_EQ(set->matching(text), expected) << text;
  }
  EXPECT_TRUE(PatternSet().matching("@a:own").empty());
  EXPECT_TRUE(PatternSet::compile({})->matching("").empty());
}

// Each is within its bounds.
TEST(PatternSet, TheSizeOfAllTogetherIsBounded) {
  std::vector<Pattern> patterns;
  for (size_t size = 0; size <= kSetSizeMax; size += patterns.back().size()) {
    EXPECT_TRUE(PatternSet::compile(patterns).ok());
    patterns.push_back(*Pattern::compile("@(.*a){300}" + std::to_string(patterns.size())));
  }
  EXPECT_LT(patterns.size(), 100u);
  EXPECT_EQ(PatternSet::compile(patterns).error().code, ErrorCode::kTooLarge);
}

// Over and over through states that are new, which are more than it may keep.
TEST(PatternSet, WhatNeedsTooManyStatesIsMatchedAllTheSame) {
  std::vector<std::string> regexes;
  for (int i = 0; i < 18; ++i)
    regexes.push_back("@((a|b)*a(a|b){" + std::to_string(900 - i) + "})z");
  regexes.emplace_back("@[ab]+$");
  const std::vector<Pattern> patterns = compile_all(regexes);
  const auto set = PatternSet::compile(patterns);
  ASSERT_TRUE(set.ok());
  std::string text = "@";
  for (uint32_t i = 0, bits = 1; i < 3000; ++i) {
    bits = bits * 1664525 + 1013904223;
    text.push_back((bits >> 31u) != 0 ? 'a' : 'b');
  }
  EXPECT_EQ(set->matching(text), std::vector<size_t>(1, 18));
}

}  // namespace
}  // namespace polder::appservices
