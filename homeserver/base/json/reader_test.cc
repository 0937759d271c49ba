#include "homeserver/base/json/reader.h"

#include <gtest/gtest.h>

#include "homeserver/base/json/parse.h"

namespace polder::json {
namespace {

template <class T>
std::string outcome(const Result<T>& result) {
  return result.ok() ? "ok" : std::string(to_string(result.error().code));
}

// What each way of reading says of each kind of value.
TEST(Reader, AnotherTypeIsNeverAbsent) {
  const std::vector<std::pair<std::string, std::string>> types = {
      {"null", ""},          {"true", "boolean"},     {"5", "integer"},
      {"0.5", ""},           {R"("text")", "string"}, {"{}", "object"},
      {R"(["a"])", "array"}, {"[5]", "array"}};
  for (const auto& [text, type] : types) {
    const Object object = *parse_object(R"({"a":)" + text + "}");
    const Reader in(object);
    const auto expect = [&](std::string_view read, const std::string& seen) {
      EXPECT_EQ(seen, type == read ? "ok" : "bad_type") << read << " of " << text;
    };
    expect("string", outcome(in.string("a")));
    expect("string", outcome(in.optional_string("a")));
    expect("string", outcome(in.string_or("a", "x")));
    expect("integer", outcome(in.integer("a")));
    expect("integer", outcome(in.optional_integer("a")));
    expect("integer", outcome(in.integer_or("a", 7)));
    expect("boolean", outcome(in.boolean("a")));
    expect("boolean", outcome(in.optional_boolean("a")));
    expect("boolean", outcome(in.boolean_or("a", true)));
    expect("object", outcome(in.object("a")));
    expect("object", outcome(in.optional_object("a")));
    expect("array", outcome(in.array("a")));
    expect("array", outcome(in.optional_array("a")));
  }
}

TEST(Reader, WhatMayBeAbsentIsNothingOrWhatWasGiven) {
  const Object object;
  const Reader in(object, "auth.");
  EXPECT_EQ(in.string("a").error().message, "Missing parameter: auth.a");
  for (const std::string& seen :
       {outcome(in.string("a")), outcome(in.integer("a")), outcome(in.boolean("a")),
        outcome(in.object("a")), outcome(in.array("a")), outcome(in.strings("a"))})
    EXPECT_EQ(seen, "missing");
  EXPECT_EQ(*in.optional_string("a"), std::nullopt);
  EXPECT_EQ(*in.string_or("a", "x"), "x");
  EXPECT_EQ(*in.optional_integer("a"), std::nullopt);
  EXPECT_EQ(*in.integer_or("a", 7), 7);
  EXPECT_EQ(*in.optional_boolean("a"), std::nullopt);
  EXPECT_TRUE(*in.boolean_or("a", true));
  EXPECT_EQ(*in.optional_object("a"), nullptr);
  EXPECT_EQ(*in.optional_array("a"), nullptr);
  EXPECT_EQ(*in.optional_strings("a"), std::nullopt);
  EXPECT_EQ(*in.one_of("a", {"b", "c"}, "b"), "b");
}

TEST(Reader, EverythingIsBounded) {
  const Object object =
      *parse_object(R"({"text":"four","number":5,"list":["a","bc"],"object":{"a":1,
      "b":2},"word":"b"})");
  const Reader in(object);
  EXPECT_EQ(*in.string("text", {.bytes_min = 4, .bytes_max = 4}), "four");
  EXPECT_EQ(outcome(in.string("text", {.bytes_max = 3})), "invalid");
  EXPECT_EQ(outcome(in.string("text", {.bytes_min = 5})), "invalid");
  EXPECT_EQ(*in.integer("number", {5, 5}), 5);
  EXPECT_EQ(outcome(in.integer("number", {.min = 6})), "invalid");
  EXPECT_EQ(outcome(in.integer("number", {.max = 4})), "invalid");
  EXPECT_EQ((*in.array("list", {2}))->size(), 2u);
  EXPECT_EQ(outcome(in.array("list", {1})), "too_large");
  EXPECT_EQ(outcome(in.object("object", {1})), "too_large");
  EXPECT_EQ(in.strings("list", {.count_max = 2, .bytes_max = 2})->size(), 2u);
  EXPECT_EQ(outcome(in.strings("list", {.count_max = 1})), "too_large");
  EXPECT_EQ(outcome(in.strings("list", {.bytes_max = 1})), "invalid");
  EXPECT_EQ(*in.one_of("word", {"b", "c"}, "c"), "b");
  EXPECT_EQ(outcome(in.one_of("word", {"c"}, "c")), "invalid");
}

TEST(Reader, AListOfStringsHasNothingElse) {
  const Object object = *parse_object(R"({"a":["x",5]})");
  EXPECT_EQ(Reader(object).strings("a").error().message, "each of a must be a string");
}

}  // namespace
}  // namespace polder::json
