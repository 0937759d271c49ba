#include <random>

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/testing/agreement.h"
#include "homeserver/base/json/testing/random_text.h"
#include "homeserver/base/json/write.h"

namespace polder::json {
namespace {

constexpr ParseLimits kCanonical{.numbers = Numbers::kCanonical};

std::string canonical(std::string_view text) {
  const auto value = parse(text, kCanonical);
  return value.ok() ? write(*value) : "refused: " + value.error().message;
}

// The examples of https://spec.matrix.org/v1.19/appendices/#canonical-json
TEST(CanonicalJson, MatchesTheSpecificationsExamples) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{}", "{}"},
      {R"({ "one": 1, "two": "Two" })", R"({"one":1,"two":"Two"})"},
      {R"({ "b": "2", "a": "1" })", R"({"a":"1","b":"2"})"},
      {R"({ "a": "日本語" })", R"({"a":"日本語"})"},
      {R"({ "本": 2, "日": 1 })", R"({"日":1,"本":2})"},
      {R"({ "a": "\u65E5" })", R"({"a":"日"})"},
      {R"({ "a": null })", R"({"a":null})"},
      {R"({ "auth": { "success": true, "mxid": "@john.doe:example.com", "profile": { "display_name": "John Doe",
          "three_pids": [ { "medium": "email", "address": "john.doe@example.org" }, { "medium": "msisdn", "address": "123456789" } ] } } })",
       R"({"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}})"}};
  for (const auto& [input, expected] : cases)
    EXPECT_EQ(canonical(input), expected);
}

TEST(CanonicalJson, EscapesAsLittleAsPossible) {
  EXPECT_EQ(canonical(R"("\u0000\u0001\b\t\n\u000b\f\r\u001f\"\\\/\u007f\u2028")"),
            "\"\\u0000\\u0001\\b\\t\\n\\u000b\\f\\r\\u001f\\\"\\\\/\x7f\u2028\"");
}

TEST(CanonicalJson, SortsByCodePointBeyondTheBasicPlane) {
  // U+FF61 sorts before U+1F600 by code point, and after it by UTF-16 code unit.
  EXPECT_EQ(canonical(R"({"😀":1,"｡":2})"), R"({"｡":2,"😀":1})");
}

TEST(Numbers, CanonicalModeTakesOnlyIntegersInRange) {
  for (const char* text : {"0", "-1", "9007199254740991", "-9007199254740991"})
    EXPECT_EQ(canonical(text), text);
  for (const char* text : {"9007199254740992", "-9007199254740992", "1.0", "1e3", "1E400", "-0",
                           "-0.0", "0.5", "9223372036854775808", "18446744073709551616"}) {
    const auto value = parse(text, kCanonical);
    ASSERT_FALSE(value.ok()) << text;
    EXPECT_EQ(value.error().code, ErrorCode::kInvalid) << text;
  }
}

TEST(Numbers, AnyModeKeepsWhatItCannotHoldAsItWasWritten) {
  for (const char* text :
       {"1.0", "1e3", "1E400", "-0.0", "0.10", "18446744073709551616", "9223372036854775807"}) {
    EXPECT_EQ(write(*parse(text)), text);
  }
  EXPECT_EQ(write(*parse("-0")), "0");  // as an integer, it is zero
  EXPECT_FALSE(is_canonical(*parse("[1.0]")));
  EXPECT_FALSE(is_canonical(*parse("{\"a\":9007199254740992}")));
  EXPECT_TRUE(is_canonical(*parse("{\"a\":[9007199254740991,null,\"1.0\"]}")));
}

TEST(Parse, RefusesWhatIsNotJson) {
  const std::vector<std::string> cases = {"",
                                          " ",
                                          "{",
                                          "[",
                                          "\"",
                                          "{]",
                                          "[1,]",
                                          "{\"a\":1,}",
                                          "{,}",
                                          "{a:1}",
                                          "{'a':1}",
                                          "{\"a\" 1}",
                                          "[1 2]",
                                          "nul",
                                          "tru",
                                          "True",
                                          "NaN",
                                          "Infinity",
                                          "-Infinity",
                                          "01",
                                          "-",
                                          "+1",
                                          ".5",
                                          "1.",
                                          "1e",
                                          "1e+",
                                          "0x10",
                                          "--1",
                                          "1 1",
                                          "{} {}",
                                          "[]]",
                                          "\"\\x\"",
                                          "\"\\u12\"",
                                          "\"\\u12g4\"",
                                          "\"\\",
                                          "\"\n\"",
                                          "\"\t\"",
                                          "\xef\xbb\xbf{}",
                                          "\"\xff\"",
                                          "\"\xc0\x80\"",
                                          "\"\xed\xa0\x80\"",
                                          "/* a */ {}",
                                          std::string("{\0}", 3),
                                          std::string("1\0", 2)};
  for (const std::string& text : cases) {
    const auto value = parse(text);
    ASSERT_FALSE(value.ok()) << text;
    EXPECT_EQ(value.error().code, ErrorCode::kMalformed) << text;
  }
}

TEST(Parse, RefusesLoneSurrogates) {
  for (const char* text : {R"("\ud800")", R"("\udc00")", R"("\ud800a")", R"("\ud800\n")",
                           R"("\ud800\ud800")", R"("\udc00\ud800")"}) {
    EXPECT_FALSE(parse(text).ok()) << text;
  }
  EXPECT_EQ(*parse(R"("\ud83d\uDE00")")->as_string(), "😀");
}

TEST(Parse, RefusesDuplicateKeysHoweverWritten) {
  EXPECT_FALSE(parse(R"({"a":1,"a":1})").ok());
  EXPECT_FALSE(parse(R"({"a":1,"b":2,"\u0061":3})").ok());
  EXPECT_FALSE(parse(R"([{"x":{"k":1,"k":2}}])").ok());
  EXPECT_TRUE(parse(R"({"a":{"a":1}})").ok());
}

TEST(Parse, RefusesEveryTruncation) {
  const std::string text = R"({"a":[1,true,null,"x\u00e9\ud83d\ude00"],"b":{"c":-12}})";
  ASSERT_TRUE(parse(text, kCanonical).ok());
  for (size_t size = 0; size < text.size(); ++size) {
    const auto value = parse(text.substr(0, size), kCanonical);
    ASSERT_FALSE(value.ok()) << size;
    EXPECT_EQ(value.error().code, ErrorCode::kMalformed) << size;
  }
}

std::string nested(size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(Parse, LimitsDepthAndSize) {
  EXPECT_TRUE(parse(nested(100), {.max_depth = 100}).ok());
  EXPECT_EQ(parse(nested(101), {.max_depth = 100}).error().code, ErrorCode::kTooLarge);
  EXPECT_TRUE(parse(nested(200), {.max_depth = 200}).ok());
  EXPECT_EQ(parse(nested(201), {.max_depth = 200}).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(parse(nested(kNestedBytesMax + 200)).error().code, ErrorCode::kTooLarge);
  EXPECT_FALSE(parse(std::string(100'000, '[')).ok());
  EXPECT_EQ(parse("[1,2,3]", {.max_bytes = 6}).error().code, ErrorCode::kTooLarge);
  EXPECT_TRUE(parse("[1,2,3]", {.max_bytes = 7}).ok());
}

TEST(Nested, AsDeepAsSixtyFourKibibytesAllowIsReadCopiedComparedAndWritten) {
  std::string objects;
  for (int i = 0; i < 10'000; ++i)
    objects += R"({"a":)";
  objects += "1" + std::string(10'000, '}');
  for (const std::string& text : {nested(32'768), objects}) {
    const auto value = parse(text, kCanonical);
    ASSERT_TRUE(value.ok()) << value.error().message;
    const Value copy = *value;
    EXPECT_TRUE(copy == *value);
    EXPECT_TRUE(is_canonical(copy));
    EXPECT_TRUE(write(copy) == text);
  }
}

// Text inside so many arrays that the tree ends around it, or within it.
std::string wrapped(std::string_view text, int levels) {
  const auto count = static_cast<size_t>(levels);
  return std::string(count, '[').append(text).append(count, ']');
}

TEST(Nested, IsCanonicalAsTheTreeIs) {
  const std::string text =
      R"({"b":[1 ,{"d":-0,"c":"\u0041"}],"":{},"a":[[],{"z":null,"y":[true]}]})";
  const std::string expected = R"({"":{},"a":[[],{"y":[true],"z":null}],"b":[1,{"c":"A","d":0}]})";
  for (int levels = kTreeDepth - 4; levels <= kTreeDepth + 1; ++levels)
    EXPECT_EQ(write(*parse(wrapped(text, levels))), wrapped(expected, levels)) << levels;
  const std::string deep = wrapped("[[1.5]]", kTreeDepth);
  EXPECT_EQ(parse(deep, kCanonical).error().code, ErrorCode::kInvalid);
  EXPECT_FALSE(is_canonical(*parse(deep)));
  EXPECT_EQ(write(*parse(deep)), deep);
  EXPECT_FALSE(parse(wrapped(R"([{"x":{"k":1,"\u006b":2}}])", kTreeDepth)).ok());
}

TEST(Nested, IsReadAsThePlainReaderReadsIt) {
  uint64_t accepted = 0;
  const auto check = [&](std::string_view inner) {
    const std::string text = wrapped(inner, kTreeDepth - 1);
    for (const Numbers numbers : {Numbers::kAny, Numbers::kCanonical}) {
      const auto read = parse(text, {.numbers = numbers});
      const auto plain = parse_plainly(text, {.numbers = numbers});
      ASSERT_EQ(read.ok(), plain.ok()) << text;
      if (!read.ok()) continue;
      ++accepted;
      ASSERT_EQ(write(*read), write(*plain)) << text;
    }
  };
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    RandomText random(seed);
    check(std::string(random.next()));
    check(std::string(random.mutated()));
  }
  EXPECT_GT(accepted, 1000u);
}

TEST(Parse, AnObjectMustBeOneWhereAsked) {
  EXPECT_EQ(parse_object("[]").error().code, ErrorCode::kBadType);
  EXPECT_TRUE(parse_object(" {\"a\" : [ true , false , null ] } ").ok());
}

TEST(Object, StaysSortedAndUnique) {
  Object object{{"b", 1}, {"a", 2}, {"b", 3}};
  EXPECT_EQ(write(object), R"({"a":2,"b":3})");
  object.set("aa", Array{1, "x"});
  EXPECT_TRUE(object.erase("a"));
  EXPECT_FALSE(object.erase("a"));
  EXPECT_EQ(write(object), R"({"aa":[1,"x"],"b":3})");
  EXPECT_EQ(object.find_int("b"), 3);
  EXPECT_EQ(object.find_string("b"), nullptr);
}

TEST(At, FollowsAPath) {
  const Object object = *parse_object(R"({"a":{"b":{"c":7}},"x":1})");
  EXPECT_EQ(*at(object, {"a", "b", "c"})->as_int(), 7);
  EXPECT_EQ(at(object, {"x", "b"}), nullptr);
  EXPECT_EQ(at(object, {"a", "c"}), nullptr);
}

TEST(Writer, SeparatesAndNests) {
  std::string out;
  Writer writer(out);
  writer.begin_object()
      .member("a", "x\n")
      .key("b")
      .begin_array()
      .integer(1)
      .null()
      .begin_object()
      .end_object();
  writer.end_array()
      .key("c")
      .raw("{\"d\":1}")
      .member("e", true)
      .member("f", int64_t{-5})
      .end_object();
  EXPECT_EQ(out, R"({"a":"x\n","b":[1,null,{}],"c":{"d":1},"e":true,"f":-5})");
}

// A random tree; its strings hold every kind of character that needs care.
Value random_value(std::mt19937& random, int depth) {
  const auto below = [&](unsigned bound) { return static_cast<int>(random() % bound); };
  const auto text = [&] {
    static const std::vector<std::string> kParts = {"a", "\"", "\\", "\n",  std::string(1, '\0'),
                                                    "é", "日", "😀", "\x7f"};
    std::string out;
    for (int i = below(6); i > 0; --i)
      out += kParts[random() % kParts.size()];
    return out;
  };
  switch (below(depth > 4 ? 5 : 7)) {
    case 0:
      return {};
    case 1:
      return below(2) == 0;
    case 2:
      return static_cast<int64_t>(random()) * (below(2) == 0 ? 1 : -1) * 1'000'000;
    case 3:
      return text();
    case 4:
      return Number{"1.5"};
    case 5: {
      Array array;
      for (int i = below(5); i > 0; --i)
        array.push_back(random_value(random, depth + 1));
      return array;
    }
    default: {
      Object object;
      for (int i = below(5); i > 0; --i)
        object.set(text(), random_value(random, depth + 1));
      return object;
    }
  }
}

TEST(RoundTrip, WhatIsWrittenReadsBackEqual) {
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    const Value value = random_value(random, 0);
    const auto back = parse(write(value));
    ASSERT_TRUE(back.ok()) << write(value);
    EXPECT_EQ(*back, value);
    EXPECT_EQ(write(*back), write(value));
  }
}

// Of words and brackets that a reader of tokens could take for what they are not.
TEST(Readers, AgreeOnWhatTokensHide) {
  for (const char* text : {R"(["a":1])",
                           R"([["a":1],2]])",
                           R"([["a":[1],2]])",
                           R"({"a":"b":1})",
                           R"({"a""b":1})",
                           R"(["a""b"])",
                           R"(["a"b])",
                           R"([1"a"])",
                           R"([true"a"])",
                           R"([\"a\"])",
                           R"({"a":1]])",
                           R"([{"a":1]])",
                           R"([1}])",
                           R"({"a":1,})",
                           "[1\f2]",
                           "[1\032\062]",
                           R"("a" "b")",
                           R"("a":1)",
                           "1 ",
                           " 1",
                           "tru e",
                           "[[]",
                           "[]]",
                           "{}}",
                           "[}",
                           "{]",
                           R"("a)",
                           R"("a\")",
                           "[1,2",
                           "[1,2}",
                           R"({"a":1)",
                           R"({"a")",
                           R"({"a":)",
                           "[[[[[[[[[[[",
                           "]",
                           "}",
                           ",",
                           ":",
                           "[,1]",
                           "[:1]"})
    EXPECT_TRUE(readers_agree(text, 9)) << text;
}

TEST(Readers, AgreeOnRandomTexts) {
  constexpr uint64_t kTexts = 5000;
  uint64_t accepted = 0;
  for (uint64_t seed = 0; seed < kTexts; ++seed) {
    RandomText random(seed);
    const std::string text(random.next());
    ASSERT_TRUE(readers_agree(text, 9)) << text;
    accepted += parse(text).ok() ? 1 : 0;
    const std::string mutant(random.mutated());
    ASSERT_TRUE(readers_agree(mutant, 9)) << mutant;
  }
  // Else they would agree on too little.
  EXPECT_GT(accepted, kTexts / 4);
  EXPECT_LT(accepted, kTexts * 9 / 10);
}

}  // namespace
}  // namespace polder::json
