#include "homeserver/base/values/glob.h"

#include <gtest/gtest.h>

namespace polder::base {
namespace {

bool matches_all(std::string_view pattern, std::string_view text) {
  return Glob::parse(pattern, {})->matches(fold_case(text));
}
bool matches_words(std::string_view pattern, std::string_view text) {
  return Glob::parse(pattern, {})->matches_words(fold_case(text));
}

TEST(Glob, MatchesTheWholeText) {
  struct Case {
    std::string_view pattern, text;
    bool matches;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"lunc?*", "Lunch plans", true},
           {"lunc?*", "LUNCH", true},
           {"lunc?*", " lunch", false},
           {"lunc?*", "lunc", false},
           {"", "", true},
           {"", "a", false},
           {"*", "", true},
           {"?", "", false},
           {"?", "\xc3\xa9", true},  // one character, two bytes
           {"a*b*c", "aXbXbc", true},
           {"a*b*c", "aXbXbcd", false},
           {"**a**", "bab", true},
           {"m.room.message", "m.room.message", true},
           {"m.room.message", "m_room_message", false},  // no other character is special
           {"[ab]", "a", false},
           {"\xc3\x84RGER", "\xc3\xa4rger", true},          // Latin
           {"\xd0\x9f\xd0\xa0", "\xd0\xbf\xd1\x80", true},  // Cyrillic
           {"\xce\xa3", "\xcf\x82", true},                  // Greek
           {"\xc5\xb9", "\xc5\xba", true},                  // Polish
           {"\xff", "\xfe", true},                          // neither is UTF-8
           {"*ab", "aab", true},
           {"*a*", "xay", true},
           {"a?", "a", false},
           {"a.c", "abc", false},
       }) {
    EXPECT_EQ(matches_all(c.pattern, c.text), c.matches) << c.pattern << " | " << c.text;
  }
}

TEST(Glob, MatchesPartsBetweenWordBoundaries) {
  struct Case {
    std::string_view pattern, text;
    bool matches;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"ex*ple", "An example event.", true},
           {"ex*ple", "exple", true},
           {"ex*ple", "An exciting triple-whammy", true},
           {"ex*ple", "An exciting tripled", false},
           {"ex*ple", "vexing example", true},
           {"cake", "Pancakes", false},
           {"cake", "cake_", false},
           {"cake", "(CAKE)", true},
           {"cake", "cake\xc3\xa9", true},  // only ASCII letters are of words
           {"@room", "hi @room!", true},
           {"?", "a b", true},
           {"??", "a b", true},
           {"a b", "x a b", true},
           {"x", "", false},
       }) {
    EXPECT_EQ(matches_words(c.pattern, c.text), c.matches) << c.pattern << " | " << c.text;
  }
}

TEST(Glob, TakesTimeThatGrowsWithTheTextAlone) {
  // A matcher that goes back would never end on these.
  std::string stars;
  for (int i = 0; i < 120; ++i)
    stars += "a*";
  const std::string text(60'000, 'a');
  EXPECT_FALSE(matches_all(stars + "b", text));
  EXPECT_FALSE(matches_words(stars + "b", text));
  EXPECT_TRUE(matches_all(stars, text));
}

TEST(Glob, OfAnyLengthAgreeWithThePlainestMatcher) {
  // Over the borders of words, and with characters on both sides of a star.
  for (const size_t size : {1u, 31u, 63u, 64u, 65u, 127u, 128u, 129u, 300u}) {
    const std::string text(size, 'a');
    const auto with = [&](const std::string& pattern) {
      return Glob::parse(pattern, {.size_max = 1000})->matches(fold_case(text));
    };
    EXPECT_TRUE(with(text)) << size;
    EXPECT_TRUE(with(std::string(size, '?'))) << size;
    EXPECT_TRUE(with(text + "*")) << size;
    EXPECT_TRUE(with("*" + text)) << size;
    EXPECT_TRUE(with(std::string(size / 2, 'a') + "*" + std::string(size - size / 2, '?'))) << size;
    EXPECT_FALSE(with(std::string(size + 1, '?'))) << size;
    EXPECT_FALSE(with(std::string(size - 1, '?'))) << size;
    EXPECT_FALSE(with(text + "*b")) << size;
    EXPECT_FALSE(with("*" + text + "?")) << size;
  }
}

TEST(Glob, WildcardsAndCaseMeanSomethingWhereTheyShould) {
  struct Case {
    GlobSyntax syntax;
    std::string_view pattern, text;
    bool matches;
  };
  const GlobSyntax exact{.folds_case = false};
  const GlobSyntax stars{.question_mark = false};
  const GlobSyntax plain{.star = false, .question_mark = false};
  for (const Case& c : std::initializer_list<Case>{
           {exact, "A*", "Ab", true},
           {exact, "A*", "ab", false},
           {exact, "\xc3\x84?", "\xc3\x84x", true},
           {exact, "\xc3\x84?", "\xc3\xa4x", false},
           {stars, "a?*", "a?b", true},
           {stars, "a?*", "abc", false},
           {plain, "**?", "**?", true},
           {plain, "**?", "*?", false},
           {plain, "**?", "abc", false},
       }) {
    const std::u32string text = c.syntax.folds_case ? fold_case(c.text) : characters(c.text);
    EXPECT_EQ(Glob::parse(c.pattern, c.syntax)->matches(text), c.matches) << c.pattern << c.text;
  }
}

TEST(Glob, RefusesPatternsOverTheLimit) {
  const GlobSyntax syntax{.size_max = 300};
  EXPECT_TRUE(Glob::parse(std::string(300, 'a'), syntax).ok());
  EXPECT_TRUE(Glob::parse(std::string(100'000, '*'), syntax).ok());  // one star
  const auto refused = Glob::parse(std::string(301, 'a'), syntax);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace polder::base
