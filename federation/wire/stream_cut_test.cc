#include "federation/wire/stream_cut.h"
#include "federation/wire/cut.h"

#include <gtest/gtest.h>

namespace polder::wire {
namespace {

struct Cut {
  Status status;
  std::vector<std::string> first, second;
  StreamCutter cutter;
};

// The text in pieces of a length.
Cut cut(std::string_view text, size_t length, StreamCutLimits limits = {}) {
  Cut result{{}, {}, {}, StreamCutter({"state", "auth_chain"}, limits)};
  const auto element = [&](size_t list, std::string bytes) -> Status {
    (list == 0 ? result.first : result.second).push_back(std::move(bytes));
    return {};
  };
  for (size_t at = 0; at < text.size() && result.status.ok(); at += length)
    result.status = result.cutter.take(text.substr(at, length), element);
  if (result.status.ok()) result.status = result.cutter.finish();
  return result;
}

TEST(StreamCut, PartsAreTheSameHoweverTheTextIsDivided) {
  const std::string text =
      " {\"x\" : [1,{\"state\":[9]}], \"st\\u0061te\":[ {\"a\":[\"]\",\"\\\"}\"]} ,\"x,y\",-1.5 , "
      "[] ],\n"
      "\"members_omitted\":true , \"auth_chain\":[ ],\"event\":{\"k\":\"}\"}} \n";
  for (size_t length = 1; length <= text.size(); ++length) {
    const Cut whole = cut(text, length);
    ASSERT_TRUE(whole.status.ok()) << length << ": " << whole.status.error().message;
    EXPECT_EQ(whole.first,
              (std::vector<std::string>{R"({"a":["]","\"}"]})", R"("x,y")", "-1.5", "[]"}));
    EXPECT_TRUE(whole.second.empty());
    EXPECT_TRUE(whole.cutter.has(1));
    EXPECT_EQ(*whole.cutter.member("members_omitted"), "true");
    EXPECT_EQ(*whole.cutter.member("event"), R"({"k":"}"})");
    EXPECT_EQ(*whole.cutter.member("x"), R"([1,{"state":[9]}])");
    EXPECT_EQ(whole.cutter.member("state").error().code, ErrorCode::kMissing);
  }
  EXPECT_TRUE(cut("{}", 1).status.ok());
  EXPECT_FALSE(cut("{}", 1).cutter.has(0));
}

TEST(StreamCut, AListThatIsNoneIsAMember) {
  const Cut result = cut(R"({"state":null})", 3);
  ASSERT_TRUE(result.status.ok());
  EXPECT_FALSE(result.cutter.has(0));
  EXPECT_EQ(*result.cutter.member("state"), "null");
}

TEST(StreamCut, BrokenTextIsRefused) {
  for (const char* text : {"",
                           "{",
                           "[]",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{1:2}",
                           "{\"a\":1,}",
                           "{\"a\":1}}",
                           "{\"a\":1 2}",
                           "{\"state\":[",
                           "{\"state\":[1,]}",
                           "{\"state\":[,1]}",
                           "{\"state\":[1 2]}",
                           "{\"state\":[1]",
                           "{\"state\":[{]}]}",
                           "{\"state\":[\"a]}",
                           "{\"state\":[\"a\\\"]}",
                           "{\"state\":[1}}",
                           "{\"state\":[tru\"e\"]}",
                           "{\"a\" 1}",
                           "{,}",
                           "{\"\\x\":1}"}) {
    for (const size_t length : {1u, 100u})
      EXPECT_EQ(cut(text, length).status.error().code, ErrorCode::kMalformed) << text;
  }
}

TEST(StreamCut, NothingIsThereTwice) {
  for (const char* text : {R"({"state":[1],"state":[2]})", R"({"a":1,"\u0061":2})"})
    EXPECT_EQ(cut(text, 4).status.error().code, ErrorCode::kInvalid) << text;
}

TEST(StreamCut, WhatIsHeldIsBounded) {
  StreamCutLimits limits;
  limits.elements = 3;
  limits.element_bytes = 5;
  limits.member_bytes = 4;
  limits.members = 2;
  // Too long an element or member is left out; what follows is not.
  const Cut kept = cut(R"({"state":["abcd",[1,2],"abc"],"m":"abc"})", 2, limits);
  ASSERT_TRUE(kept.status.ok());
  EXPECT_EQ(kept.first, (std::vector<std::string>{"[1,2]", "\"abc\""}));
  EXPECT_EQ(kept.cutter.member("m").error().code, ErrorCode::kTooLarge);
  for (const std::string& text :
       {std::string(R"({"state":[1,2],"auth_chain":[3,4]})"), std::string(R"({"a":1,"b":1,"c":1})"),
        "{\"" + std::string(1000, 'a') + "\":1}", "{\"a\":" + std::string(kCutDepthMax + 2, '[')}) {
    EXPECT_EQ(cut(text, 7, limits).status.error().code, ErrorCode::kTooLarge) << text.substr(0, 50);
  }
}

TEST(StreamCut, WhoTakesTheElementsMayEndIt) {
  StreamCutter cutter({"state"}, {});
  const auto refuse = [](size_t, std::string) -> Status {
    return fail(ErrorCode::kUnavailable, "enough");
  };
  EXPECT_EQ(cutter.take(R"({"state":[1,2]})", refuse).error().message, "enough");
}

}  // namespace
}  // namespace polder::wire
