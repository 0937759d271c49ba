#include "homeserver/api/kit/query.h"

#include <gtest/gtest.h>

namespace polder::kit {
namespace {

http::Request request(const std::string& target) {
  http::Request made;
  EXPECT_TRUE(http::parse_target("/path?" + target, made).ok()) << target;
  return made;
}

template <class T>
std::string outcome(const Result<T>& result) {
  return result.ok() ? "ok" : std::string(to_string(result.error().code));
}

TEST(Query, WhatCannotBeReadIsNeverAbsent) {
  struct Case {
    std::string target;
    std::string text, integer, optional, boolean, word, object;
  };
  const std::vector<Case> cases = {
      {"", "missing", "missing", "ok", "ok", "ok", "ok"},
      {"a=", "missing", "invalid", "invalid", "invalid", "invalid", "invalid"},
      {"a=x", "ok", "invalid", "invalid", "invalid", "ok", "invalid"},
      {"a=5", "ok", "ok", "ok", "invalid", "invalid", "invalid"},
      {"a=5x", "ok", "invalid", "invalid", "invalid", "invalid", "invalid"},
      {"a=%205", "ok", "invalid", "invalid", "invalid", "invalid", "invalid"},
      {"a=0.5", "ok", "invalid", "invalid", "invalid", "invalid", "invalid"},
      {"a=-1", "ok", "invalid", "invalid", "invalid", "invalid", "invalid"},
      {"a=101", "ok", "invalid", "invalid", "invalid", "invalid", "invalid"},
      {"a=99999999999999999999", "ok", "invalid", "invalid", "invalid", "invalid", "invalid"},
      {"a=true", "ok", "invalid", "invalid", "ok", "invalid", "invalid"},
      {"a=True", "ok", "invalid", "invalid", "invalid", "invalid", "invalid"},
      {"a={}", "ok", "invalid", "invalid", "invalid", "invalid", "ok"},
      {"a=[]", "ok", "invalid", "invalid", "invalid", "invalid", "invalid"},
  };
  for (const Case& item : cases) {
    const http::Request given = request(item.target);
    const Query query(given);
    const json::IntBounds bounds{0, 100};
    EXPECT_EQ(outcome(query.text("a")), item.text) << item.target;
    EXPECT_EQ(outcome(query.integer("a", bounds)), item.integer) << item.target;
    EXPECT_EQ(outcome(query.optional_integer("a", bounds)), item.optional) << item.target;
    EXPECT_EQ(outcome(query.integer_or("a", 7, bounds)), item.optional) << item.target;
    EXPECT_EQ(outcome(query.boolean_or("a", true)), item.boolean) << item.target;
    EXPECT_EQ(outcome(query.one_of("a", {"x", "y"})), item.word) << item.target;
    EXPECT_EQ(outcome(query.object("a")), item.object) << item.target;
  }
}

TEST(Query, APageIsBounded) {
  struct Case {
    std::string target;
    std::string outcome;
    size_t limit = 10;
    bool forwards = false;
  };
  const std::vector<Case> cases = {
      {"dir=b", "ok"},
      {"dir=f", "ok", 10, true},
      {"dir=f&limit=0", "ok", 1, true},
      {"dir=b&limit=50", "ok", 50},
      {"dir=b&limit=100000", "ok", 1000},
      {"dir=b&limit=-1", "invalid"},
      {"dir=b&limit=ten", "invalid"},
      {"dir=x", "invalid"},
      {"limit=5", "missing"},
  };
  for (const Case& item : cases) {
    const http::Request given = request(item.target);
    const auto page = Query(given).paging();
    ASSERT_EQ(outcome(page), item.outcome) << item.target;
    if (!page.ok()) continue;
    EXPECT_EQ(page->limit, item.limit) << item.target;
    EXPECT_EQ(page->forwards, item.forwards) << item.target;
  }
  const http::Request given = request("from=t1&to=t2");
  const auto page = Query(given).paging({.direction = "f"});
  ASSERT_TRUE(page.ok());
  EXPECT_TRUE(page->forwards);
  EXPECT_EQ(page->from, "t1");
  EXPECT_EQ(page->to, "t2");
}

}  // namespace
}  // namespace polder::kit
