#include "homeserver/base/crypto/hash.h"
#include "homeserver/protocol/dag/state_resolution.h"
#include "homeserver/protocol/dag/testing/room.h"

namespace polder::dag {
namespace {

constexpr const char* kAlice = "@alice:a.example";
constexpr const char* kBob = "@bob:b.example";

using Names = std::vector<std::string>;

class StateResolutionV1 : public testing::Test {
 protected:
  StateResolutionV1() : room_("1") {
    add("create", kAlice, "m.room.create", "", R"({"creator":"@alice:a.example"})", 1);
    add("alice", kAlice, "m.room.member", kAlice, R"({"membership":"join"})", 2);
    add("levels", kAlice, "m.room.power_levels", "",
        R"({"users":{"@alice:a.example":100,"@bob:b.example":50}})", 3);
    add("public", kAlice, "m.room.join_rules", "", R"({"join_rule":"public"})", 4);
    add("bob", kBob, "m.room.member", kBob, R"({"membership":"join"})", 5);
    base_ = room_.state({"create", "alice", "levels", "public", "bob"});
  }
  void add(const std::string& name, const std::string& sender, const std::string& type,
           const std::string& key, const std::string& content, int64_t depth) {
    room_.add(
        name,
        {.sender = sender, .type = type, .state_key = key, .content = content, .depth = depth});
  }
  StateMap and_then(StateMap state, std::initializer_list<const char*> names) const {
    for (const char* name : names)
      room_.put(state, room_.number(name));
    return state;
  }
  // Of what the state sets differ in.
  Names resolved(const StateMap& a, const StateMap& b) {
    Names names;
    auto one = resolve(room_.rules(), std::vector{a, b}, room_);
    auto other = resolve(room_.rules(), std::vector{b, a}, room_);
    EXPECT_TRUE(one.ok() && other.ok());
    if (!one.ok() || !other.ok()) return {};
    EXPECT_EQ(room_.names(*one), room_.names(*other));
    for (const auto& [key, number] : *one) {
      if (!base_.contains(key) || base_.at(key) != number) names.push_back(room_.name_of(number));
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  TestRoom room_;
  StateMap base_;
};

TEST_F(StateResolutionV1, KeysOfOneForkStay) {
  add("topic", kBob, "m.room.topic", "", "{}", 6);
  EXPECT_EQ(resolved(base_, and_then(base_, {"topic"})), Names{"topic"});
}

TEST_F(StateResolutionV1, GreatestDepthWins) {
  add("deep", kAlice, "m.room.topic", "", R"({"topic":"deep"})", 7);
  add("shallow", kAlice, "m.room.topic", "", R"({"topic":"shallow"})", 6);
  EXPECT_EQ(resolved(and_then(base_, {"deep"}), and_then(base_, {"shallow"})), Names{"deep"});
}

TEST_F(StateResolutionV1, SmallestHashWinsAtEqualDepth) {
  add("x", kAlice, "m.room.topic", "", "{}", 6);
  add("y", kAlice, "m.room.topic", "", "{}", 6);
  const bool x_first = crypto::sha1(room_.id("x").view()) < crypto::sha1(room_.id("y").view());
  EXPECT_EQ(resolved(and_then(base_, {"x"}), and_then(base_, {"y"})), Names{x_first ? "x" : "y"});
}

TEST_F(StateResolutionV1, EventsThatTheStateRefusesLose) {
  add("allowed", kAlice, "m.room.topic", "", "{}", 6);
  add("refused", "@eve:e.example", "m.room.topic", "", "{}", 7);
  EXPECT_EQ(resolved(and_then(base_, {"allowed"}), and_then(base_, {"refused"})), Names{"allowed"});
}

TEST_F(StateResolutionV1, TheOldestStandsIfAllAreRefused) {
  add("older", "@eve:e.example", "m.room.topic", "", "{}", 6);
  add("newer", "@eve:e.example", "m.room.topic", "", "{}", 7);
  EXPECT_EQ(resolved(and_then(base_, {"older"}), and_then(base_, {"newer"})), Names{"older"});
}

TEST_F(StateResolutionV1, LaterPowerLevelsNeedTheLeaveOfEarlierOnes) {
  add("alice's", kAlice, "m.room.power_levels", "",
      R"({"users":{"@alice:a.example":100,"@bob:b.example":0}})", 6);
  add("bob's", kBob, "m.room.power_levels", "",
      R"({"users":{"@alice:a.example":100,"@bob:b.example":50},"ban":1})", 7);
  EXPECT_EQ(resolved(and_then(base_, {"alice's"}), and_then(base_, {"bob's"})), Names{"alice's"});
  add("alice's later", kAlice, "m.room.power_levels", "",
      R"({"users":{"@alice:a.example":100,"@bob:b.example":1}})", 8);
  EXPECT_EQ(resolved(and_then(base_, {"alice's"}), and_then(base_, {"alice's later"})),
            Names{"alice's later"});
}

TEST_F(StateResolutionV1, ResolvedPowerLevelsDecideOnLaterPasses) {
  add("demotion", kAlice, "m.room.power_levels", "",
      R"({"users":{"@alice:a.example":100,"@bob:b.example":0}})", 6);
  add("old topic", kAlice, "m.room.topic", "", "{}", 6);
  add("bob's topic", kBob, "m.room.topic", "", "{}", 7);
  const StateMap common = and_then(base_, {"old topic"});
  EXPECT_EQ(resolved(and_then(common, {"demotion"}), and_then(common, {"bob's topic"})),
            (Names{"demotion", "old topic"}));
}

TEST_F(StateResolutionV1, BansReplaceJoins) {
  add("bob again", kBob, "m.room.member", kBob, R"({"membership":"join","displayname":"b"})", 6);
  add("ban", kAlice, "m.room.member", kBob, R"({"membership":"ban"})", 7);
  EXPECT_EQ(resolved(and_then(base_, {"bob again"}), and_then(base_, {"ban"})), Names{"ban"});
  add("join later", kBob, "m.room.member", kBob, R"({"membership":"join"})", 8);
  EXPECT_EQ(resolved(and_then(base_, {"ban"}), and_then(base_, {"join later"})), Names{"ban"});
}

TEST_F(StateResolutionV1, JoinRulesAreResolvedBeforeMembers) {
  const char* carol = "@carol:c.example";
  add("private", kAlice, "m.room.join_rules", "", R"({"join_rule":"invite"})", 6);
  add("carol left", carol, "m.room.member", carol, R"({"membership":"leave"})", 6);
  add("carol", carol, "m.room.member", carol, R"({"membership":"join"})", 7);
  EXPECT_EQ(resolved(and_then(base_, {"private", "carol left"}), and_then(base_, {"carol"})),
            (Names{"carol left", "private"}));
}

}  // namespace
}  // namespace polder::dag
