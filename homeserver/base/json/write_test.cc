#include "homeserver/base/json/write.h"

#include "homeserver/base/json/parse.h"

namespace polder::json {
namespace {

std::string in_quotes(std::string_view text) {
  std::string out;
  write_string_to(text, out);
  return out;
}

// https://spec.matrix.org/v1.19/appendices/#grammar
TEST(WriteString, EscapesAsShortlyAsPossibleAndNothingElse) {
  using namespace std::string_literals;
  EXPECT_EQ(in_quotes("\"\\\b\t\n\f\r"), R"("\"\\\b\t\n\f\r")");
  EXPECT_EQ(in_quotes("\0\x01\x0b\x1f"s), R"("\u0000\u0001\u000b\u001f")");
  EXPECT_EQ(in_quotes("/\x7f é日\xf0\x9f\x98\x80\xe2\x80\xa8"),
            "\"/\x7f é日\xf0\x9f\x98\x80\xe2\x80\xa8\"");
  EXPECT_EQ(in_quotes(""), "\"\"");
}

// Strings are looked at in words of eight bytes.
TEST(WriteString, FindsWhatNeedsCareAtEveryPlace) {
  std::vector<std::string> careful = {"é", "日", "😀", "\x7f"};
  for (char c = 0; c < 0x20; ++c)
    careful.emplace_back(1, c);
  careful.insert(careful.end(), {"\"", "\\", "\"\\", "\n\n"});
  for (const std::string& piece : careful) {
    const std::string alone = in_quotes(piece);
    const std::string written = alone.substr(1, alone.size() - 2);
    for (size_t before = 0; before < 18; ++before) {
      for (size_t after = 0; after < 18; ++after) {
        const std::string text = std::string(before, 'x') + piece + std::string(after, 'y');
        const std::string expected = std::string(before, 'x') + written + std::string(after, 'y');
        ASSERT_EQ(in_quotes(text), '"' + expected + '"');
      }
    }
    EXPECT_EQ(*parse(alone)->as_string(), piece);
  }
}

TEST(WriteString, ReplacesWhatIsNotUtf8) {
  EXPECT_EQ(in_quotes("a\xff"
                      "b\xc3"),
            "\"a\xef\xbf\xbd"
            "b\xef\xbf\xbd\"");
  EXPECT_EQ(in_quotes("\xed\xa0\x80é\xf0\x9f"),
            "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdé\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(Write, RefusesNumbersThatAreNone) {
  EXPECT_EQ(write(Value(Number{"1e3"})), "1e3");
  for (const char* text : {"", "x", "1,2", "NaN", "01", "1 "}) {
    EXPECT_DEATH(write(Value(Number{text})), "");
  }
}

TEST(Write, WritesExtremeIntegers) {
  EXPECT_EQ(write(Value(INT64_MIN)), "-9223372036854775808");
  EXPECT_EQ(write(Value(INT64_MAX)), "9223372036854775807");
}

TEST(Writer, SeparatesMembersAndElements) {
  std::string out = "HEAD ";
  Writer writer(out);
  writer.begin_object().member("s", "t").member("n", int64_t{1}).key("a").begin_array();
  writer.integer(1).null().boolean(false).begin_object().end_object().begin_array().end_array();
  writer.end_array().key("raw").raw(R"({"x":1})").key("v").value(object({{"y", 2}}));
  writer.member("last", std::string_view("\n")).end_object();
  EXPECT_EQ(
      out,
      R"(HEAD {"s":"t","n":1,"a":[1,null,false,{},[]],"raw":{"x":1},"v":{"y":2},"last":"\n"})");
}

TEST(Writer, EndsTheProgramRatherThanWritingNonsense) {
  std::string out;
  EXPECT_DEATH(Writer(out).end_object(), "");
  EXPECT_DEATH(Writer(out).key("a"), "");
  EXPECT_DEATH(Writer(out).integer(1).integer(2), "");
  EXPECT_DEATH(Writer(out).begin_object().integer(1), "");
  EXPECT_DEATH(Writer(out).begin_object().end_array(), "");
  EXPECT_DEATH(Writer(out).begin_object().key("a").end_object(), "");
  EXPECT_DEATH(Writer(out).begin_object().key("a").key("b"), "");
  EXPECT_DEATH(Writer(out).begin_array().key("a"), "");
  EXPECT_DEATH(Writer(out).begin_array().raw(""), "");
}

}  // namespace
}  // namespace polder::json
