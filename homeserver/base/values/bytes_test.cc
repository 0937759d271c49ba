#include "homeserver/base/values/bytes.h"

namespace polder::base {
namespace {

// https://spec.matrix.org/v1.19/appendices/#unpadded-base64
TEST(Base64, MatchesTheSpecificationsExamples) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},         {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : cases) {
    EXPECT_EQ(base64_encode(as_bytes(plain)), encoded);
    EXPECT_EQ(*base64_decode(encoded), plain);
  }
}

TEST(Base64, ToleratesPaddingAndRefusesRubbish) {
  EXPECT_EQ(*base64_decode("Zm8="), "fo");
  EXPECT_EQ(*base64_decode("Zg=="), "f");
  for (const char* text : {"Z", "Zm8==", "Zm 8", "Zm8\n", "Zg=a", "-_-_"}) {
    EXPECT_FALSE(base64_decode(text).ok()) << text;
  }
  EXPECT_EQ(*base64_decode("-_-_", Base64::kUrlSafe), "\xfb\xff\xbf");
}

TEST(PercentCoding, RoundTrips) {
  const std::string text = "!a b/c:%\xc3\xa9";
  EXPECT_EQ(percent_encode(text), "%21a%20b%2Fc%3A%25%C3%A9");
  EXPECT_EQ(*percent_decode(percent_encode(text)), text);
  EXPECT_FALSE(percent_decode("%").ok());
  EXPECT_FALSE(percent_decode("%4").ok());
  EXPECT_FALSE(percent_decode("a%zz").ok());
  EXPECT_EQ(*percent_decode("%41"), "A");
}

TEST(Utf8, RefusesSurrogatesOverlongFormsAndTruncation) {
  EXPECT_TRUE(is_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
  for (const char* text :
       {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80", "\xff"}) {
    EXPECT_FALSE(is_utf8(text)) << text;
  }
}

TEST(Hex, RoundTrips) {
  EXPECT_EQ(hex_encode(as_bytes("\x01\xab")), "01ab");
  EXPECT_EQ(*hex_decode("01AB"), "\x01\xab");
  EXPECT_FALSE(hex_decode("0").ok());
  EXPECT_FALSE(hex_decode("0g").ok());
}

}  // namespace
}  // namespace polder::base
