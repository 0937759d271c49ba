#include <gtest/gtest.h>

#include "homeserver/base/json/parse.h"
#include "homeserver/protocol/push_rules/rule_set.h"

namespace polder::push_rules {
namespace {

constexpr std::string_view kUser = "@me:own";
constexpr std::string_view kRoom = "!room:own";

json::Object object(std::string_view text) {
  auto parsed = json::parse_object(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return *std::move(parsed);
}

struct Scene {
  uint64_t members = 10;
  bool may_notify = false;
  std::string_view display_name = "Me Myself";
};

Outcome evaluate(const RuleSet& rules, std::string_view event, const Scene& scene = {}) {
  const json::Object parsed = object(event);
  const EventContext context{parsed, kRoom, scene.members, [&](std::string_view key) {
                               return scene.may_notify && key == "room";
                             }};
  return rules.evaluate(context, {kUser, scene.display_name});
}

std::vector<std::string> ids(const RuleSet& rules, Kind kind) {
  std::vector<std::string> ids;
  for (const Rule& rule : rules.rules(kind))
    ids.push_back(rule.id);
  return ids;
}

TEST(Condition, PathsAreSplitAtDotsThatAreNotEscaped) {
  struct Case {
    std::string_view path;
    std::vector<std::string> names;
  };
  for (const Case& c :
       std::initializer_list<Case>{{"content.body", {"content", "body"}},
                                   {"content.m\\.relates_to", {"content", "m.relates_to"}},
                                   {"content.m\\\\foo", {"content", "m\\foo"}},
                                   {"a\\xb", {"a\\xb"}},
                                   {"a\\", {"a\\"}},
                                   {"", {""}},
                                   {"a..b", {"a", "", "b"}}}) {
    EXPECT_EQ(split_path(c.path), c.names) << c.path;
  }
}

TEST(Condition, HoldsAsSpecified) {
  struct Case {
    std::string_view condition, event;
    bool holds;
  };
  constexpr std::string_view kFederate =
      R"({"kind": "event_property_is", "key": "content.m\\.federate", "value": true})";
  constexpr std::string_view kAlias =
      R"({"kind": "event_property_contains", "key": "content.alt_aliases", "value": "#r:s"})";
  constexpr std::string_view kTopic =
      R"({"kind": "event_match", "key": "content.topic", "pattern": "*"})";
  for (const Case& c : std::initializer_list<Case>{
           {kFederate, R"({"content": {"m.federate": true}})", true},
           {kFederate, R"({"content": {"m.federate": "true"}})", false},
           {kFederate, R"({"content": {"m.federate": 1}})", false},
           {kFederate, R"({"content": {"m": {"federate": true}}})", false},
           {kFederate, R"({"content": {}})", false},
           {R"({"kind": "event_property_is", "key": "a", "value": null})", R"({"a": null})", true},
           {R"({"kind": "event_property_is", "key": "a", "value": null})", R"({})", false},
           {R"({"kind": "event_property_is", "key": "a", "value": [1]})", R"({"a": [1]})", false},
           {R"({"kind": "event_property_is", "key": "a", "value": 1})", R"({"a": 1})", true},
           {R"({"kind": "event_property_is", "key": "a", "value": 9007199254740992})",
            R"({"a": 9007199254740992})", false},
           {R"({"kind": "event_property_is", "key": "a", "value": 0.5})", R"({"a": 0.5})", false},
           {kAlias, R"({"content": {"alt_aliases": ["#x:s", "#r:s"]}})", true},
           {kAlias, R"({"content": {"alt_aliases": ["#r:s2"]}})", false},
           {kAlias, R"({"content": {"alt_aliases": "#r:s"}})", false},
           {R"({"kind": "event_property_contains", "key": "a", "value": [1]})", R"({"a": [[1]]})",
            false},
           {kTopic, R"({"content": {"topic": ""}})", true},
           {kTopic, R"({"content": {"topic": null}})", false},
           {kTopic, R"({"content": {}})", false},
           {R"({"kind": "event_match", "key": "room_id", "pattern": "!room:*"})", "{}", true},
           {R"({"kind": "room_member_count", "is": "10"})", "{}", true},
           {R"({"kind": "room_member_count", "is": "==10"})", "{}", true},
           {R"({"kind": "room_member_count", "is": "<10"})", "{}", false},
           {R"({"kind": "room_member_count", "is": "<=10"})", "{}", true},
           {R"({"kind": "room_member_count", "is": ">9"})", "{}", true},
           {R"({"kind": "room_member_count", "is": ">=11"})", "{}", false},
           {R"({"kind": "room_member_count", "is": "=10"})", "{}", false},
           {R"({"kind": "room_member_count", "is": "10 "})", "{}", false},
           {R"({"kind": "room_member_count"})", "{}", false},
           {R"({"kind": "contains_display_name"})", R"({"content": {"body": "hi ME MYSELF!"}})",
            true},
           {R"({"kind": "contains_display_name"})", R"({"content": {"body": "me myselfish"}})",
            false},
           {R"({"kind": "contains_display_name"})", R"({"content": {"body": 1}})", false},
           {R"({"kind": "sender_notification_permission", "key": "room"})", "{}", false},
           {R"({"kind": "org.example.unknown"})", "{}", false},
           {R"({"kind": "event_match", "key": "type"})", R"({"type": "a"})", false},
       }) {
    RuleSet rules;
    const json::Object body = object(std::string(R"({"actions": ["notify"], "conditions": [)") +
                                     std::string(c.condition) + "]}");
    ASSERT_TRUE(rules.put(Kind::kOverride, "r", body, {}).ok()) << c.condition;
    EXPECT_EQ(evaluate(rules, c.event).notify, c.holds) << c.condition << c.event;
  }
}

TEST(RuleSet, ByDefaultEventsDoWhatTheSpecificationSays) {
  struct Case {
    std::string_view event;
    bool notify, highlight;
    std::string_view sound = "";
    Scene scene = {};
  };
  for (const Case& c : std::initializer_list<Case>{
           {R"({"type": "m.room.message", "content": {"body": "me"}})", true, false},
           {R"({"type": "m.room.message", "content": {}})", true, false, "default", {.members = 2}},
           {R"({"type": "m.room.encrypted", "content": {}})", true, false},
           {R"({"type": "m.room.encrypted", "content": {}})",
            true,
            false,
            "default",
            {.members = 2}},
           {R"({"type": "m.call.invite", "content": {}})", true, false, "ring"},
           {R"({"type": "m.room.message", "content": {"msgtype": "m.notice"}})", false, false},
           {R"({"type": "m.reaction", "content": {}})", false, false},
           {R"({"type": "m.room.topic", "state_key": "", "content": {}})", false, false},
           {R"({"type": "m.room.server_acl", "state_key": "", "content": {}})", false, false},
           {R"({"type": "m.room.tombstone", "state_key": "", "content": {}})", true, true},
           {R"({"type": "m.room.tombstone", "content": {}})", false, false},
           {R"({"type": "m.room.member", "state_key": "@me:own",
                "content": {"membership": "invite"}})",
            true, false, "default"},
           {R"({"type": "m.room.member", "state_key": "@you:own",
                "content": {"membership": "invite"}})",
            false, false},
           {R"({"type": "m.room.message",
                "content": {"m.mentions": {"user_ids": ["@you:own", "@me:own"]}}})",
            true, true, "default"},
           {R"({"type": "m.room.message", "content": {"m.mentions": {"user_ids": ["@ME:own"]}}})",
            true, false},
           {R"({"type": "m.poll.start", "content": {"m.mentions": {"user_ids": ["@me:own"]}}})",
            true, true, "default"},
           // No event mentions by its text any more.
           {R"({"type": "m.room.message", "content": {"body": "@room me Me Myself @me:own"}})",
            true,
            false,
            "",
            {.may_notify = true}},
           {R"({"type": "m.room.message", "content": {"m.mentions": {"room": true}}})",
            true,
            true,
            "",
            {.may_notify = true}},
           {R"({"type": "m.room.message", "content": {"m.mentions": {"room": true}}})", true,
            false},
           {R"({"type": "m.room.message", "content": {"m.mentions": {"room": "true"}}})",
            true,
            false,
            "",
            {.may_notify = true}},
           {R"({"type": "m.room.message", "content": {"m.relates_to": {"rel_type": "m.replace"}}})",
            false, false},
           {R"({"type": "m.room.message", "content": {"m.relates_to": {"rel_type": "m.replace"},
                "m.mentions": {"user_ids": ["@me:own"]}}})",
            true, true, "default"},
       }) {
    const Outcome outcome = evaluate(RuleSet(), c.event, c.scene);
    EXPECT_EQ(outcome.notify, c.notify) << c.event;
    EXPECT_EQ(outcome.highlight, c.highlight) << c.event;
    const std::string* sound = outcome.tweaks.find_string("sound");
    EXPECT_EQ(sound == nullptr ? "" : *sound, c.sound) << c.event;
  }
}

TEST(RuleSet, OutcomesThatDependOnTheUserAreMarked) {
  const RuleSet rules;
  EXPECT_FALSE(evaluate(rules, R"({"type": "m.room.message", "content": {}})").personal);
  EXPECT_TRUE(evaluate(rules, R"({"type": "m.room.message",
                                  "content": {"m.mentions": {"user_ids": ["@x:y"]}}})")
                  .personal);
}

TEST(RuleSet, KindsAndRulesAreCheckedInTheirOrder) {
  constexpr std::string_view kEvent =
      R"({"type": "m.room.message", "sender": "@you:own", "content": {"body": "time for tea"}})";
  struct Case {
    Kind kind;
    std::string_view id, body;
    std::string_view sound;
  };
  RuleSet rules;
  // Each is checked before the ones above it.
  for (
      const Case& c : std::initializer_list<Case>{
          {Kind::kUnderride, "u",
           R"({"actions": ["notify", {"set_tweak": "sound", "value": "u"}]})", "u"},
          {Kind::kSender, "@you:own",
           R"({"actions": ["notify", {"set_tweak": "sound", "value": "s"}]})", "s"},
          {Kind::kRoom, "!room:own",
           R"({"actions": ["notify", {"set_tweak": "sound", "value": "r"}]})", "r"},
          {Kind::kContent, "tea",
           R"({"pattern": "tea", "actions": ["notify", {"set_tweak": "sound", "value": "tea"}]})",
           "tea"},
          {Kind::kContent, "time",
           R"({"pattern": "time", "actions": ["notify", {"set_tweak": "sound", "value": "time"}]})",
           "time"},
          {Kind::kOverride, "o",
           R"({"conditions": [], "actions": ["notify", {"set_tweak": "sound", "value": "o"}]})",
           "o"},
      }) {
    ASSERT_TRUE(rules.put(c.kind, c.id, object(c.body), {}).ok());
    EXPECT_EQ(*evaluate(rules, kEvent).tweaks.find_string("sound"), c.sound);
  }
  // Rules for others do not match.
  EXPECT_TRUE(rules.erase(Kind::kOverride, "o").ok());
  ASSERT_TRUE(rules.put(Kind::kRoom, "!other:own", object(R"({"actions": []})"), {}).ok());
  EXPECT_EQ(*evaluate(rules, kEvent).tweaks.find_string("sound"), "time");
  // Disabled rules never match.
  EXPECT_TRUE(rules.set_enabled(Kind::kContent, "time", false).ok());
  EXPECT_EQ(*evaluate(rules, kEvent).tweaks.find_string("sound"), "tea");
  // The master rule is above all.
  EXPECT_TRUE(rules.set_enabled(Kind::kOverride, ".m.rule.master", true).ok());
  EXPECT_FALSE(evaluate(rules, kEvent).notify);
}

TEST(RuleSet, RulesArePutWhereTheCallerSays) {
  RuleSet rules;
  const json::Object body = object(R"({"pattern": "x", "actions": []})");
  const auto put = [&](std::string_view id, RuleSet::Place place) {
    return rules.put(Kind::kContent, id, body, place);
  };
  ASSERT_TRUE(put("a", {}).ok());
  ASSERT_TRUE(put("b", {}).ok());
  EXPECT_EQ(ids(rules, Kind::kContent), (std::vector<std::string>{"b", "a"}));
  ASSERT_TRUE(put("c", {.before = "a"}).ok());
  EXPECT_EQ(ids(rules, Kind::kContent), (std::vector<std::string>{"b", "c", "a"}));
  ASSERT_TRUE(put("d", {.after = "a"}).ok());
  EXPECT_EQ(ids(rules, Kind::kContent), (std::vector<std::string>{"b", "c", "a", "d"}));
  ASSERT_TRUE(put("e", {.before = "d", .after = "b"}).ok());
  EXPECT_EQ(ids(rules, Kind::kContent), (std::vector<std::string>{"b", "c", "a", "e", "d"}));
  ASSERT_TRUE(put("d", {.before = "b"}).ok());  // moves
  EXPECT_EQ(ids(rules, Kind::kContent), (std::vector<std::string>{"d", "b", "c", "a", "e"}));
  ASSERT_TRUE(put("c", {}).ok());  // stays
  EXPECT_EQ(ids(rules, Kind::kContent), (std::vector<std::string>{"d", "b", "c", "a", "e"}));
  for (const RuleSet::Place place :
       std::initializer_list<RuleSet::Place>{{.before = "no"}, {.after = "no"}, {.before = "c"}}) {
    const Status refused = put("c", place);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kNotFound);
  }
  EXPECT_EQ(ids(rules, Kind::kContent), (std::vector<std::string>{"d", "b", "c", "a", "e"}));
  // "It is not possible to add a rule relative to a predefined server rule."
  EXPECT_FALSE(rules.put(Kind::kOverride, "o", body, {.before = ".m.rule.suppress_notices"}).ok());
  ASSERT_TRUE(rules.put(Kind::kOverride, "o", body, {}).ok());
  EXPECT_EQ(ids(rules, Kind::kOverride)[0], ".m.rule.master");
  EXPECT_EQ(ids(rules, Kind::kOverride)[1], "o");
}

TEST(RuleSet, WhatIsNoRuleIsRefusedAndChangesNothing) {
  struct Case {
    Kind kind;
    std::string_view id, body;
    ErrorCode code;
  };
  const std::string long_pattern =
      R"({"actions": [], "pattern": ")" + std::string(kPatternMax + 1, 'p') + R"("})";
  const std::string long_id(kRuleIdBytesMax + 1, 'i');
  for (const Case& c : std::initializer_list<Case>{
           {Kind::kOverride, ".m.rule.new", R"({"actions": []})", ErrorCode::kInvalid},
           {Kind::kOverride, ".m.rule.master", R"({"actions": []})", ErrorCode::kInvalid},
           {Kind::kOverride, "a/b", R"({"actions": []})", ErrorCode::kInvalid},
           {Kind::kOverride, "a\\b", R"({"actions": []})", ErrorCode::kInvalid},
           {Kind::kOverride, "", R"({"actions": []})", ErrorCode::kInvalid},
           {Kind::kOverride, long_id, R"({"actions": []})", ErrorCode::kInvalid},
           {Kind::kOverride, "r", R"({})", ErrorCode::kMissing},
           {Kind::kOverride, "r", R"({"actions": "notify"})", ErrorCode::kBadType},
           {Kind::kOverride, "r", R"({"actions": ["shout"]})", ErrorCode::kInvalid},
           {Kind::kOverride, "r", R"({"actions": [{"sound": "x"}]})", ErrorCode::kInvalid},
           {Kind::kOverride, "r", R"({"actions": [7]})", ErrorCode::kInvalid},
           {Kind::kOverride, "r", R"({"actions": [], "conditions": {}})", ErrorCode::kBadType},
           {Kind::kOverride, "r", R"({"actions": [], "conditions": ["x"]})", ErrorCode::kBadType},
           {Kind::kOverride, "r", R"({"actions": [], "conditions": [{}]})", ErrorCode::kMissing},
           {Kind::kContent, "r", R"({"actions": []})", ErrorCode::kMissing},
           {Kind::kContent, "r", long_pattern, ErrorCode::kTooLarge},
       }) {
    RuleSet rules;
    const Status refused = rules.put(c.kind, c.id, object(c.body), {});
    ASSERT_FALSE(refused.ok()) << c.id << c.body;
    EXPECT_EQ(refused.error().code, c.code) << c.id << c.body;
    EXPECT_TRUE(rules.changes().empty());
  }
}

TEST(RuleSet, RulesOfTheServerCanBeChangedButNotErased) {
  RuleSet rules;
  EXPECT_EQ(rules.erase(Kind::kOverride, ".m.rule.master").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(rules.erase(Kind::kOverride, "no").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(rules.set_enabled(Kind::kRoom, "no", true).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(rules.set_actions(Kind::kRoom, "no", {}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(rules.set_actions(Kind::kUnderride, ".m.rule.message", {"shout"}).error().code,
            ErrorCode::kInvalid);
  EXPECT_TRUE(rules.changes().empty());
  constexpr std::string_view kMessage = R"({"type": "m.room.message", "content": {}})";
  ASSERT_TRUE(rules.set_actions(Kind::kUnderride, ".m.rule.message", {"dont_notify"}).ok());
  EXPECT_EQ(rules.find(Kind::kUnderride, ".m.rule.message")->actions, json::Array{"dont_notify"});
  EXPECT_FALSE(evaluate(rules, kMessage).notify);
  ASSERT_TRUE(rules.set_actions(Kind::kUnderride, ".m.rule.message", {"notify"}).ok());
  EXPECT_TRUE(rules.changes().empty());  // as by default again
}

TEST(RuleSet, ChangesAreReadBackAsTheyWere) {
  RuleSet rules;
  ASSERT_TRUE(rules
                  .put(Kind::kOverride, "o",
                       object(R"({"actions": ["notify", {"set_tweak": "highlight", "value": false}],
                                  "conditions": [{"kind": "x.y", "z": 0.5}]})"),
                       {})
                  .ok());
  ASSERT_TRUE(
      rules.put(Kind::kContent, "c", object(R"({"actions": [], "pattern": "p"})"), {}).ok());
  ASSERT_TRUE(
      rules.put(Kind::kContent, "b", object(R"({"actions": [], "pattern": "q"})"), {}).ok());
  ASSERT_TRUE(rules.set_enabled(Kind::kContent, "c", false).ok());
  ASSERT_TRUE(rules.set_enabled(Kind::kOverride, ".m.rule.master", true).ok());
  ASSERT_TRUE(rules.set_actions(Kind::kUnderride, ".m.rule.call", {}).ok());
  const auto again = RuleSet::parse(rules.changes());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->changes(), rules.changes());
  EXPECT_EQ(again->to_json(kUser), rules.to_json(kUser));
}

TEST(RuleSet, JsonIsAsClientsExpectIt) {
  RuleSet rules;
  ASSERT_TRUE(
      rules.put(Kind::kContent, "c", object(R"({"actions": [], "pattern": "p"})"), {}).ok());
  ASSERT_TRUE(rules.put(Kind::kRoom, "!r:s", object(R"({"actions": ["notify"]})"), {}).ok());
  const json::Object all = rules.to_json(kUser);
  EXPECT_EQ(all.size(), kKindNames.size());
  EXPECT_EQ(*(*all.find_array("content"))[0].as_object(),
            object(R"({"rule_id": "c", "default": false, "enabled": true, "actions": [],
                       "pattern": "p"})"));
  EXPECT_EQ(*(*all.find_array("room"))[0].as_object(),
            object(R"({"rule_id": "!r:s", "default": false, "enabled": true,
                       "actions": ["notify"]})"));
  EXPECT_EQ(*(*all.find_array("override"))[0].as_object(),
            object(R"({"rule_id": ".m.rule.master", "default": true, "enabled": false,
                       "conditions": [], "actions": []})"));
  // The user's own id stands where the specification has a placeholder.
  EXPECT_EQ(*(*all.find_array("override"))[4].as_object(),
            object(R"({"rule_id": ".m.rule.is_user_mention", "default": true, "enabled": true,
                       "conditions": [{"kind": "event_property_contains",
                                       "key": "content.m\\.mentions.user_ids",
                                       "value": "@me:own"}],
                       "actions": ["notify", {"set_tweak": "sound", "value": "default"},
                                   {"set_tweak": "highlight"}]})"));
}

TEST(RuleSet, KnowsWhereItActsAsByDefault) {
  RuleSet rules;
  EXPECT_TRUE(rules.acts_as_default(kRoom));
  // Another sound changes no count; neither do rules for other rooms and disabled ones.
  ASSERT_TRUE(rules.set_actions(Kind::kUnderride, ".m.rule.call", {"notify"}).ok());
  ASSERT_TRUE(rules.put(Kind::kRoom, "!other:own", object(R"({"actions": []})"), {}).ok());
  ASSERT_TRUE(rules
                  .put(Kind::kOverride, "mute",
                       object(R"({"actions": [], "conditions": [{"kind": "event_match",
                                  "key": "room_id", "pattern": "!other:own"}]})"),
                       {})
                  .ok());
  ASSERT_TRUE(
      rules.put(Kind::kContent, "c", object(R"({"actions": [], "pattern": "p"})"), {}).ok());
  EXPECT_FALSE(rules.acts_as_default(kRoom));
  ASSERT_TRUE(rules.set_enabled(Kind::kContent, "c", false).ok());
  EXPECT_TRUE(rules.acts_as_default(kRoom));
  EXPECT_FALSE(rules.acts_as_default("!other:own"));
  ASSERT_TRUE(rules.set_enabled(Kind::kOverride, ".m.rule.reaction", false).ok());
  EXPECT_FALSE(rules.acts_as_default(kRoom));
}

}  // namespace
}  // namespace polder::push_rules
