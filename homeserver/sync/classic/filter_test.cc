#include "homeserver/sync/classic/filter.h"

#include <gtest/gtest.h>

#include "homeserver/base/json/parse.h"

namespace polder::sync {
namespace {

json::Object object(std::string_view text) {
  return *json::parse_object(text);
}

TEST(Filter, TypesAreIncludedAndExcludedWithWildcards) {
  struct Case {
    std::string_view filter, type;
    bool allowed;
  };
  for (const Case& c : std::initializer_list<Case>{
           {R"({})", "m.room.message", true},
           {R"({"types":[]})", "m.room.message", false},
           {R"({"types":["m.room.message"]})", "m.room.message", true},
           {R"({"types":["m.room.message"]})", "m.room.messages", false},
           {R"({"types":["m.room.*"]})", "m.room.message", true},
           {R"({"types":["m.*.name"]})", "m.room.name", true},
           {R"({"types":["m.*.name"]})", "m.room.names", false},
           {R"({"types":["*a*b*"]})", "xxaxxaxxbxx", true},
           {R"({"types":["*"],"not_types":["m.room.*"]})", "m.room.message", false},
           {R"({"not_types":["m.typing"]})", "m.receipt", true},
           {R"({"types":["m.room.?"]})", "m.room.x", false},
       }) {
    const auto filter = parse_event_filter(object(c.filter));
    ASSERT_TRUE(filter.ok()) << c.filter;
    EXPECT_EQ(filter->allows_type(c.type), c.allowed) << c.filter << " " << c.type;
  }
}

TEST(Filter, OfAStoredOneOnlyWhatIsWrongIsIgnored) {
  const json::Object stored = object(
      R"({"event_fields":5,"presence":"none","account_data":{"types":[1],"not_types":["a"]},
          "room":{"rooms":"!a:x","not_rooms":["!b:x"],"include_leave":"yes",
                  "timeline":{"limit":"5","types":["m.room.message"],"lazy_load_members":true},
                  "state":{"lazy_load_members":"true"},"ephemeral":[]}})");
  EXPECT_FALSE(parse_filter(stored).ok());
  const auto filter = parse_stored_filter(stored);
  ASSERT_TRUE(filter.ok()) << filter.error().message;
  EXPECT_FALSE(filter->account_data.types);
  EXPECT_FALSE(filter->account_data.allows_type("a"));
  EXPECT_FALSE(filter->rooms);
  EXPECT_FALSE(filter->allows_room("!b:x"));
  EXPECT_FALSE(filter->include_leave);
  EXPECT_EQ(filter->timeline_limit, 10u);
  EXPECT_TRUE(filter->lazy_load_members);
  EXPECT_TRUE(filter->timeline.allows_type("m.room.message"));
  EXPECT_FALSE(filter->timeline.allows_type("m.room.name"));
  EXPECT_TRUE(parse_stored_filter(object(R"({"room":"none"})")).ok());
}

TEST(Filter, ExclusionWinsOverInclusion) {
  const auto filter = *parse_event_filter(object(
      R"({"senders":["@a:x","@b:x"],"not_senders":["@b:x"],"rooms":["!a:x"],"not_rooms":["!a:x"]})"));
  EXPECT_TRUE(filter.allows_sender("@a:x"));
  EXPECT_FALSE(filter.allows_sender("@b:x"));
  EXPECT_FALSE(filter.allows_sender("@c:x"));
  EXPECT_FALSE(filter.allows_room("!a:x"));
}

TEST(Filter, PartsOfARoomFilterAreRead) {
  const auto filter = *parse_filter(object(
      R"({"room":{"rooms":["!a:x"],"include_leave":true,"timeline":{"limit":3,"unread_thread_notifications":true},
          "state":{"lazy_load_members":true,"types":["m.room.member"]},"ephemeral":{"not_types":["m.typing"]}}})"));
  EXPECT_EQ(filter.timeline_limit, 3u);
  EXPECT_TRUE(filter.include_leave);
  EXPECT_TRUE(filter.lazy_load_members);
  EXPECT_TRUE(filter.unread_thread_notifications);
  EXPECT_TRUE(filter.allows_room("!a:x"));
  EXPECT_FALSE(filter.allows_room("!b:x"));
  EXPECT_FALSE(filter.state.allows_type("m.room.name"));
  EXPECT_FALSE(filter.ephemeral.allows_type("m.typing"));
}

// What is tried with every event is bounded; names without a wildcard are looked up.
TEST(Filter, PatternsAreBounded) {
  const auto filter = [](size_t count, const std::string& begin, size_t size) {
    std::string list;
    for (size_t i = 0; i < count; ++i)
      list += (i == 0 ? "\"" : ",\"") + begin + std::to_string(i) + std::string(size, 'x') + '"';
    return parse_event_filter(object(R"({"not_types":[)" + list + "]}"));
  };
  EXPECT_TRUE(filter(kFilterPatternsMax, "*", 0).ok());
  EXPECT_FALSE(filter(kFilterPatternsMax + 1, "*", 0).ok());
  EXPECT_FALSE(filter(30, "*", 100).ok());
  const auto names = filter(kFilterEntriesMax, "m.", 0);
  ASSERT_TRUE(names.ok());
  EXPECT_FALSE(names->allows_type("m.999"));
  EXPECT_TRUE(names->allows_type("m.1000"));
  EXPECT_FALSE(filter(kFilterEntriesMax + 1, "m.", 0).ok());
}

TEST(Filter, KnownOnesAreBounded) {
  KnownFilters known;
  EXPECT_EQ(known.find("a"), nullptr);
  const auto kept = known.keep("a", 1, {});
  EXPECT_EQ(known.find("a"), kept);
  for (int i = 0; i < 10; ++i)
    known.keep(std::to_string(i), 1u << 20, {});
  EXPECT_EQ(known.find("a"), nullptr);
  EXPECT_NE(known.find("9"), nullptr);
}

TEST(Filter, WrongTypesAreRefused) {
  for (const std::string_view text :
       {R"({"room":[]})", R"({"room":{"timeline":1}})", R"({"room":{"timeline":{"types":"m"}}})",
        R"({"room":{"timeline":{"types":[1]}}})", R"({"room":{"timeline":{"limit":-1}}})",
        R"({"room":{"timeline":{"limit":"x"}}})", R"({"room":{"timeline":{"senders":["nobody"]}}})",
        R"({"account_data":7})", R"({"presence":"x"})", R"({"presence":{"types":1}})",
        R"({"room":{"rooms":["#a:x"]}})", R"({"room":{"not_rooms":["a"]}})",
        R"({"room":{"timeline":{"rooms":["not_a_room_id"]}}})"}) {
    EXPECT_FALSE(parse_filter(object(text)).ok()) << text;
  }
}

}  // namespace
}  // namespace polder::sync
