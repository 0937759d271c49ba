#include "homeserver/protocol/dag/power_levels.h"

#include <string>

#include "homeserver/protocol/dag/authorise.h"
#include "homeserver/protocol/dag/testing/room.h"

namespace polder::dag {
namespace {

constexpr int64_t kHighest = std::numeric_limits<int64_t>::max() - 1;

std::optional<int64_t> parse_in(std::string_view version, const std::string& json) {
  return parse_power_level(*json::parse(json), *events::find_room_version(version));
}

TEST(PowerLevel, IsReadAsTheVersionWritesIt) {
  struct Case {
    const char* json;
    std::optional<int64_t> v1, v6, v10;
  };
  const std::optional<int64_t> none;
  for (const Case& test : std::initializer_list<Case>{
           {"50", 50, 50, 50},
           {"-5", -5, -5, -5},
           {R"("50")", 50, 50, none},
           {R"("000100")", 100, 100, none},
           {R"("+100")", 100, 100, none},
           {R"(" -100 ")", -100, -100, none},
           {R"("\t7\n")", 7, 7, none},
           {R"("")", none, none, none},
           {R"(" ")", none, none, none},
           {R"("+")", none, none, none},
           {R"("--1")", none, none, none},
           {R"("- 1")", none, none, none},
           {R"("1 0")", none, none, none},
           {R"("5.0")", none, none, none},
           {R"("0x10")", none, none, none},
           {R"("99999999999999999999")", kHighest, kHighest, none},
           {R"("-99999999999999999999")", -kHighest, -kHighest, none},
           {"50.57", 50, none, none},
           {"-50.57", -50, none, none},
           {"5.114698E4", 51146, none, none},
           {"1e300", kHighest, none, none},
           {"-1e300", -kHighest, none, none},
           {"1e999", none, none, none},
           {"9223372036854775807", kHighest, kHighest, kHighest},
           {"true", none, none, none},
           {"null", none, none, none},
           {"[50]", none, none, none},
           {R"({"50":50})", none, none, none},
       }) {
    EXPECT_EQ(parse_in("1", test.json), test.v1) << test.json;
    EXPECT_EQ(parse_in("6", test.json), test.v6) << test.json;
    EXPECT_EQ(parse_in("10", test.json), test.v10) << test.json;
  }
}

TEST(PowerLevel, InfiniteIsAboveEveryNumber) {
  EXPECT_GT(PowerLevel::infinite(), PowerLevel(kHighest));
  EXPECT_EQ(PowerLevel::infinite(), PowerLevel::infinite());
  EXPECT_TRUE(PowerLevel::infinite().is_infinite());
  EXPECT_FALSE(PowerLevel(kHighest).is_infinite());
}

class PowerLevelsOf {
 public:
  PowerLevelsOf(std::string_view version, const std::string& content)
      : room_(version), levels_(make(content)) {}
  const PowerLevels* operator->() const { return &levels_; }

 private:
  PowerLevels make(const std::string& content) {
    room_.add(
        "create",
        {.sender = "@alice:a.example",
         .type = "m.room.create",
         .state_key = "",
         .content = R"({"creator":"@alice:a.example","additional_creators":["@bob:b.example"]})"});
    if (content.empty()) return PowerLevels(*room_.get("create"), nullptr);
    room_.add("levels", {.sender = "@alice:a.example",
                         .type = "m.room.power_levels",
                         .state_key = "",
                         .content = content});
    return PowerLevels(*room_.get("create"), room_.get("levels").get());
  }

  TestRoom room_;
  PowerLevels levels_;
};

TEST(PowerLevels, WithoutEventTheCreatorHas100) {
  for (const char* version : {"1", "10", "11"}) {
    PowerLevelsOf levels(version, "");
    EXPECT_EQ(levels->user("@alice:a.example"), PowerLevel(100));
    EXPECT_EQ(levels->user("@bob:b.example"), PowerLevel(0));
    EXPECT_EQ(levels->required_for("m.room.topic", true), PowerLevel(50));
    EXPECT_EQ(levels->required_for("m.room.message", false), PowerLevel(0));
    EXPECT_EQ(levels->ban(), PowerLevel(50));
    EXPECT_EQ(levels->kick(), PowerLevel(50));
    EXPECT_EQ(levels->redact(), PowerLevel(50));
    EXPECT_EQ(levels->invite(), PowerLevel(0));
    EXPECT_EQ(levels->notification("room"), PowerLevel(50));
  }
}

TEST(PowerLevels, EmptyEventHasDefaults) {
  PowerLevelsOf levels("11", "{}");
  EXPECT_EQ(levels->user("@alice:a.example"), PowerLevel(0));
  EXPECT_EQ(levels->required_for("m.room.topic", true), PowerLevel(50));
  EXPECT_EQ(levels->required_for("m.room.message", false), PowerLevel(0));
}

TEST(PowerLevels, AreWhatTheEventSays) {
  PowerLevelsOf levels("11", R"({"users":{"@carol:a.example":7},"users_default":1,
      "events":{"m.room.topic":2},"events_default":3,"state_default":4,"ban":5,"kick":6,"redact":8,
      "invite":9,"notifications":{"room":10}})");
  EXPECT_EQ(levels->user("@carol:a.example"), PowerLevel(7));
  EXPECT_EQ(levels->user("@dan:a.example"), PowerLevel(1));
  EXPECT_EQ(levels->required_for("m.room.topic", true), PowerLevel(2));
  EXPECT_EQ(levels->required_for("m.room.message", false), PowerLevel(3));
  EXPECT_EQ(levels->required_for("m.room.name", true), PowerLevel(4));
  EXPECT_EQ(levels->ban(), PowerLevel(5));
  EXPECT_EQ(levels->kick(), PowerLevel(6));
  EXPECT_EQ(levels->redact(), PowerLevel(8));
  EXPECT_EQ(levels->invite(), PowerLevel(9));
  EXPECT_EQ(levels->notification("room"), PowerLevel(10));
}

TEST(PowerLevels, ValuesOfWrongTypesCountAsAbsent) {
  PowerLevelsOf levels("9", R"({"users":[],"users_default":{},"events":5,"state_default":"x",
      "ban":null,"notifications":"x"})");
  EXPECT_EQ(levels->user("@carol:a.example"), PowerLevel(0));
  EXPECT_EQ(levels->required_for("m.room.topic", true), PowerLevel(50));
  EXPECT_EQ(levels->ban(), PowerLevel(50));
  EXPECT_EQ(levels->notification("room"), PowerLevel(50));
}

TEST(PowerLevels, CreatorsOfVersion12HaveInfinitePower) {
  for (const char* content : {"", "{}", R"({"users":{"@alice:a.example":1}})"}) {
    PowerLevelsOf levels("12", content);
    EXPECT_TRUE(levels->user("@alice:a.example").is_infinite());
    EXPECT_TRUE(levels->user("@bob:b.example").is_infinite());
    EXPECT_EQ(levels->user("@carol:a.example"), PowerLevel(0));
  }
}

TEST(RoomCreator, IsTheSenderFromVersion11) {
  for (const auto& [version, creator] :
       {std::pair("10", "@bob:b.example"), std::pair("11", "@alice:a.example")}) {
    TestRoom room(version);
    room.add("create", {.sender = "@alice:a.example",
                        .type = "m.room.create",
                        .state_key = "",
                        .content = R"({"creator":"@bob:b.example"})"});
    EXPECT_EQ(room_creator(*room.get("create")), creator);
  }
}

// A change of the levels by Bob, who has 50, from one event to the next; the first is by the
// creator.
struct Change {
  const char* name;
  const char* before;  // empty: no event before
  const char* after;
  const char* v1;
  const char* v6;
  const char* v10;
  const char* v12;
};

std::string answer_to(const char* version, const Change& change) {
  TestRoom room(version);
  room.add("create", {.sender = "@alice:a.example",
                      .type = "m.room.create",
                      .state_key = "",
                      .content = R"({"creator":"@bob:b.example"})"});
  TestEvent levels{.sender = "@alice:a.example", .type = "m.room.power_levels", .state_key = ""};
  std::vector<events::EventPtr> state = {room.get("create")};
  const bool by_alice = !*change.before && room.rules().creator_is_sender;
  const std::string sender = by_alice ? "@alice:a.example" : "@bob:b.example";
  room.add("sender", {.sender = sender,
                      .type = "m.room.member",
                      .state_key = sender,
                      .content = R"({"membership":"join"})"});
  state.push_back(room.get("sender"));
  if (*change.before) {
    levels.content = change.before;
    room.add("before", levels);
    state.push_back(room.get("before"));
  }
  levels.sender = sender;
  levels.content = change.after;
  auto event = room.make("after", levels);
  if (!event.ok()) return "malformed";
  Status status = authorise(**event, EventListState(state));
  if (status.ok()) return "ok";
  return status.error().message.substr(5, status.error().message.find(':') - 5);
}

void check(std::initializer_list<Change> changes) {
  for (const Change& change : changes) {
    EXPECT_EQ(answer_to("1", change), change.v1) << change.name << ", version 1";
    EXPECT_EQ(answer_to("6", change), change.v6) << change.name << ", version 6";
    EXPECT_EQ(answer_to("10", change), change.v10) << change.name << ", version 10";
    EXPECT_EQ(answer_to("12", change), change.v12) << change.name << ", version 12";
  }
}

TEST(AuthorisePowerLevels, Format) {
  check({
      {"empty", "", "{}", "ok", "ok", "ok", "ok"},
      {"all there", "",
       R"({"users":{"@x:a.example":1},"events":{"a":2},"notifications":{"room":3},"ban":4})", "ok",
       "ok", "ok", "ok"},
      {"level is text", "", R"({"ban":"50"})", "ok", "ok", "9.1", "10.1"},
      {"level is no integer", "", R"({"ban":{}})", "10.3", "9.3", "9.1", "10.1"},
      {"events is no object", "", R"({"events":[]})", "10.5", "9.5", "9.2", "10.2"},
      {"events has text", "", R"({"events":{"a":"1"}})", "ok", "ok", "9.2", "10.2"},
      {"notifications has text", "", R"({"notifications":{"room":"1"}})", "ok", "ok", "9.2",
       "10.2"},
      {"notifications is no object", "", R"({"notifications":1})", "ok", "9.5", "9.2", "10.2"},
      {"users is no object", "", R"({"users":[]})", "10.1", "9.1", "9.3", "10.3"},
      {"user id is none", "", R"({"users":{"bob":1}})", "10.1", "9.1", "9.3", "10.3"},
      {"user's level is text", "", R"({"users":{"@x:a.example":"1"}})", "ok", "ok", "9.3", "10.3"},
      {"user's level is none", "", R"({"users":{"@x:a.example":"one"}})", "10.1", "9.1", "9.3",
       "10.3"},
      {"users has the creator", "", R"({"users":{"@alice:a.example":1}})", "ok", "ok", "ok",
       "10.4"},
  });
}

#define BOB50 R"("users":{"@bob:b.example":50,"@carol:a.example":50,"@dan:a.example":49})"

TEST(AuthorisePowerLevels, SingleLevels) {
  check({
      {"nothing changes", "{" BOB50 "}", "{" BOB50 "}", "ok", "ok", "ok", "ok"},
      {"added", "{" BOB50 "}", "{" BOB50 R"(,"ban":50})", "ok", "ok", "ok", "ok"},
      {"added above", "{" BOB50 "}", "{" BOB50 R"(,"ban":51})", "10.3.2", "9.3.2", "9.5.2",
       "10.6.2"},
      {"changed from above", "{" BOB50 R"(,"kick":51})", "{" BOB50 R"(,"kick":50})", "10.3.1",
       "9.3.1", "9.5.1", "10.6.1"},
      {"removed from above", "{" BOB50 R"(,"redact":51})", "{" BOB50 "}", "10.3.1", "9.3.1",
       "9.5.1", "10.6.1"},
      {"above but the same", "{" BOB50 R"(,"redact":51})", "{" BOB50 R"(,"redact":51})", "ok", "ok",
       "ok", "ok"},
      {"removed", "{" BOB50 R"(,"invite":50})", "{" BOB50 "}", "ok", "ok", "ok", "ok"},
      {"users_default above", "{" BOB50 "}", "{" BOB50 R"(,"users_default":51})", "10.3.2", "9.3.2",
       "9.5.2", "10.6.2"},
      {"text of the same number", "{" BOB50 R"(,"ban":99})", "{" BOB50 R"(,"ban":"99"})", "ok",
       "ok", "9.1", "10.1"},
  });
}

TEST(AuthorisePowerLevels, EventsAndNotifications) {
  check({
      {"added", "{" BOB50 "}", "{" BOB50 R"(,"events":{"a":50}})", "ok", "ok", "ok", "ok"},
      {"added above", "{" BOB50 "}", "{" BOB50 R"(,"events":{"a":51}})", "10.5.1", "9.5.1", "9.7.1",
       "10.8.1"},
      {"changed from above", "{" BOB50 R"(,"events":{"a":51,"b":1}})",
       "{" BOB50 R"(,"events":{"a":1,"b":1}})", "10.4.1", "9.4.1", "9.6.1", "10.7.1"},
      {"removed from above", "{" BOB50 R"(,"events":{"a":51}})", "{" BOB50 R"(,"events":{}})",
       "10.4.1", "9.4.1", "9.6.1", "10.7.1"},
      {"whole map removed from above", "{" BOB50 R"(,"events":{"a":51}})", "{" BOB50 "}", "10.4.1",
       "9.4.1", "9.6.1", "10.7.1"},
      {"changed within", "{" BOB50 R"(,"events":{"a":1,"z":51}})",
       "{" BOB50 R"(,"events":{"a":50,"b":2,"z":51}})", "ok", "ok", "ok", "ok"},
      {"notification above", "{" BOB50 "}", "{" BOB50 R"(,"notifications":{"room":51}})", "ok",
       "9.5.1", "9.7.1", "10.8.1"},
      {"notification from above", "{" BOB50 R"(,"notifications":{"room":51}})",
       "{" BOB50 R"(,"notifications":{"room":1}})", "ok", "9.4.1", "9.6.1", "10.7.1"},
  });
}

TEST(AuthorisePowerLevels, Users) {
  check({
      {"raises to own", "{" BOB50 "}",
       R"({"users":{"@bob:b.example":50,"@carol:a.example":50,"@dan:a.example":50}})", "ok", "ok",
       "ok", "ok"},
      {"raises above own", "{" BOB50 "}",
       R"({"users":{"@bob:b.example":50,"@carol:a.example":50,"@dan:a.example":51}})", "10.7.1",
       "9.7.1", "9.9.1", "10.10.1"},
      {"adds above own", "{" BOB50 "}",
       "{"
       R"("users":{"@bob:b.example":50,"@carol:a.example":50,)"
       R"("@dan:a.example":49,"@eve:a.example":51}})",
       "10.7.1", "9.7.1", "9.9.1", "10.10.1"},
      {"lowers the lower", "{" BOB50 "}",
       R"({"users":{"@bob:b.example":50,"@carol:a.example":50,"@dan:a.example":1}})", "ok", "ok",
       "ok", "ok"},
      {"removes the lower", "{" BOB50 "}",
       R"({"users":{"@bob:b.example":50,"@carol:a.example":50}})", "ok", "ok", "ok", "ok"},
      {"lowers an equal", "{" BOB50 "}",
       R"({"users":{"@bob:b.example":50,"@carol:a.example":49,"@dan:a.example":49}})", "10.6.1",
       "9.6.1", "9.8.1", "10.9.1"},
      {"removes an equal", "{" BOB50 "}", R"({"users":{"@bob:b.example":50,"@dan:a.example":49}})",
       "10.6.1", "9.6.1", "9.8.1", "10.9.1"},
      {"lowers oneself", "{" BOB50 "}",
       R"({"users":{"@bob:b.example":1,"@carol:a.example":50,"@dan:a.example":49}})", "ok", "ok",
       "ok", "ok"},
      {"removes oneself", "{" BOB50 "}", R"({"users":{"@carol:a.example":50,"@dan:a.example":49}})",
       "ok", "ok", "ok", "ok"},
      {"raises oneself", "{" BOB50 "}",
       R"({"users":{"@bob:b.example":51,"@carol:a.example":50,"@dan:a.example":49}})", "10.7.1",
       "9.7.1", "9.9.1", "10.10.1"},
  });
}

#undef BOB50

}  // namespace
}  // namespace polder::dag
