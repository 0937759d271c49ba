#include "homeserver/protocol/dag/state_resolution.h"

#include <algorithm>
#include <string>

#include "homeserver/protocol/dag/testing/resolution_cases.h"

namespace polder::dag {
namespace {

// The state after resolving, in every order of the state sets.
Names resolved(TestRoom& room, std::vector<StateMap> states) {
  std::vector<size_t> order(states.size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  std::optional<StateMap> first;
  do {
    std::vector<StateMap> ordered;
    for (size_t i : order)
      ordered.push_back(states[i]);
    auto result = resolve(room.rules(), ordered, room);
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
    if (!result.ok()) return {};
    if (!first) first = *result;
    EXPECT_EQ(room.names(*result), room.names(*first));
  } while (std::next_permutation(order.begin(), order.end()));
  return room.names(*first);
}

Names resolved(Conflict conflict) {
  return resolved(conflict.room, std::move(conflict.states));
}

Names sorted(Names names) {
  std::sort(names.begin(), names.end());
  return names;
}

// A room of Alice (100) and Bob (50) as a client with the preset public_chat makes it.
class PublicRoom : public testing::TestWithParam<const char*> {
 protected:
  PublicRoom() : room_(GetParam()) {
    const bool v12 = room_.rules().room_id_is_create_hash;
    alice_ = v12 ? "" : R"("@alice:a.example":100,)";
    room_.add("create",
              state_event(kAlice, "m.room.create", R"({"creator":"@alice:a.example"})", {}, 0));
    add("alice", member(kAlice, kAlice, "join", {}, 1));
    room_.add("levels0", levels(kAlice, alice_ + R"("@x:x.example":0)", with({"alice"}), 2));
    add("rules", state_event(kAlice, "m.room.join_rules", R"({"join_rule":"public"})",
                             {"alice", "levels0"}, 3));
    add("bob", member(kBob, kBob, "join", {"levels0", "rules"}, 4));
    add("levels1", levels(kAlice, alice_ + R"("@bob:b.example":50)", {"alice", "levels0"}, 5));
    base_ = room_.state({"create", "alice", "rules", "bob", "levels1"});
  }
  void add(const std::string& name, TestEvent event) {
    event.auth = with(event.auth);
    room_.add(name, event);
  }
  Names with(Names names) const {
    if (!room_.rules().room_id_is_create_hash) names.insert(names.begin(), "create");
    return names;
  }
  StateMap and_then(StateMap state, std::initializer_list<const char*> names) const {
    for (const char* name : names)
      room_.put(state, room_.number(name));
    return state;
  }

  TestRoom room_;
  std::string alice_;  // her entry in the levels, which version 12 does not allow
  StateMap base_;
};

TEST_P(PublicRoom, EqualStatesAreTheirOwnResolution) {
  EXPECT_EQ(resolved(room_, {base_, base_}), room_.names(base_));
  EXPECT_EQ(resolved(room_, {base_}), room_.names(base_));
  EXPECT_EQ(resolved(room_, {}), Names{});
}

TEST_P(PublicRoom, LaterStateOfOneForkWins) {
  add("topic", topic(kBob, {"levels1", "bob"}, 6));
  EXPECT_EQ(resolved(room_, {base_, and_then(base_, {"topic"})}),
            sorted({"create", "alice", "rules", "bob", "levels1", "topic"}));
}

TEST_P(PublicRoom, BanBeatsPowerLevelsOfTheBanned) {
  add("ban", member(kAlice, kBob, "ban", {"levels1", "alice", "bob"}, 6));
  add("levels2",
      levels(kBob, alice_ + R"("@bob:b.example":50,"@carol:a.example":50)", {"levels1", "bob"}, 6));
  EXPECT_EQ(resolved(room_, {and_then(base_, {"ban"}), and_then(base_, {"levels2"})}),
            sorted({"create", "alice", "rules", "ban", "levels1"}));
}

TEST_P(PublicRoom, DemotionBeatsTopicOfTheDemoted) {
  add("topic alice", topic(kAlice, {"levels1", "alice"}, 6));
  add("demotion", levels(kAlice, alice_ + R"("@bob:b.example":0)", {"levels1", "alice"}, 7));
  add("topic bob", topic(kBob, {"levels1", "bob"}, 6));
  EXPECT_EQ(resolved(room_, {and_then(base_, {"topic alice", "demotion"}),
                             and_then(base_, {"topic bob"})}),
            sorted({"create", "alice", "rules", "bob", "demotion", "topic alice"}));
}

TEST_P(PublicRoom, AdministratorBeatsModerator) {
  add("admin's", levels(kAlice, alice_ + R"("@bob:b.example":0)", {"levels1", "alice"}, 6));
  TestEvent moderators = levels(kBob, "", {"levels1", "bob"}, 6);
  moderators.content = R"({"users":{)" + alice_ + R"("@bob:b.example":50},"users_default":-1})";
  add("moderator's", moderators);
  EXPECT_EQ(resolved(room_, {and_then(base_, {"admin's"}), and_then(base_, {"moderator's"})}),
            sorted({"create", "alice", "rules", "bob", "admin's"}));
}

TEST_P(PublicRoom, BanBeatsTopicOfTheBanned) {
  add("topic", topic(kAlice, {"levels1", "alice"}, 6));
  add("ban", member(kAlice, kBob, "ban", {"levels1", "alice", "bob"}, 7));
  add("topic bob", topic(kBob, {"levels1", "bob"}, 7));
  const StateMap common = and_then(base_, {"topic"});
  EXPECT_EQ(resolved(room_, {and_then(common, {"ban"}), and_then(common, {"topic bob"})}),
            sorted({"create", "alice", "rules", "ban", "levels1", "topic"}));
}

TEST_P(PublicRoom, JoinRulesBeatJoins) {
  add("private", state_event(kAlice, "m.room.join_rules", R"({"join_rule":"invite"})",
                             {"levels1", "alice"}, 6));
  add("ella", member("@ella:e.example", "@ella:e.example", "join", {"levels1", "rules"}, 6));
  EXPECT_EQ(resolved(room_, {and_then(base_, {"private"}), and_then(base_, {"ella"})}),
            sorted({"create", "alice", "private", "bob", "levels1"}));
}

TEST_P(PublicRoom, ConcurrentJoinsBothStay) {
  add("carol", member("@carol:a.example", "@carol:a.example", "join", {"levels1", "rules"}, 6));
  add("ella", member("@ella:e.example", "@ella:e.example", "join", {"levels1", "rules"}, 6));
  EXPECT_EQ(resolved(room_, {and_then(base_, {"carol"}), and_then(base_, {"ella"})}),
            sorted({"create", "alice", "rules", "bob", "levels1", "carol", "ella"}));
}

TEST_P(PublicRoom, LaterTimestampWinsAmongEquals) {
  add("early", topic(kAlice, {"levels1", "alice"}, 6));
  add("late", topic(kBob, {"levels1", "bob"}, 7));
  EXPECT_EQ(resolved(room_, {and_then(base_, {"early"}), and_then(base_, {"late"})}),
            sorted({"create", "alice", "rules", "bob", "levels1", "late"}));
}

TEST_P(PublicRoom, LaterEventIdWinsAmongEqualTimestamps) {
  add("x", topic(kAlice, {"levels1", "alice"}, 6));
  add("y", topic(kBob, {"levels1", "bob"}, 6));
  const std::string later = room_.id("x") < room_.id("y") ? "y" : "x";
  EXPECT_EQ(resolved(room_, {and_then(base_, {"x"}), and_then(base_, {"y"})}),
            sorted({"create", "alice", "rules", "bob", "levels1", later}));
}

TEST_P(PublicRoom, MainlineBeatsTimestamps) {
  add("levels2", levels(kAlice, alice_ + R"("@bob:b.example":51)", {"levels1", "alice"}, 6));
  add("on old levels", topic(kBob, {"levels1", "bob"}, 99));
  add("on new levels", topic(kBob, {"levels2", "bob"}, 7));
  EXPECT_EQ(resolved(room_, {and_then(base_, {"on old levels"}),
                             and_then(base_, {"levels2", "on new levels"})}),
            sorted({"create", "alice", "rules", "bob", "levels2", "on new levels"}));
}

TEST_P(PublicRoom, LevelsOfTheUnbannedCountAgain) {
  add("ban", member(kAlice, kBob, "ban", {"levels1", "alice", "bob"}, 6));
  add("unban", member(kAlice, kBob, "leave", {"levels1", "alice", "ban"}, 7));
  add("bob again", member(kBob, kBob, "join", {"levels1", "rules", "unban"}, 8));
  add("levels2", levels(kBob, alice_ + R"("@bob:b.example":50,"@carol:a.example":50)",
                        {"levels1", "bob again"}, 9));
  add("topic", topic(kAlice, {"levels1", "alice"}, 6));
  EXPECT_EQ(
      resolved(room_, {and_then(base_, {"bob again", "levels2"}), and_then(base_, {"topic"})}),
      sorted({"create", "alice", "rules", "bob again", "levels2", "topic"}));
}

TEST_P(PublicRoom, RejectedAuthEventsDoNotAuthorise) {
  add("levels2", levels(kAlice, alice_ + R"("@bob:b.example":100)", {"levels1", "alice"}, 6));
  TestEvent name = state_event(kBob, "m.room.name", "{}", {"levels2", "bob"}, 7);
  add("name", name);
  room_.reject("levels2");
  StateMap without_levels = base_;
  without_levels.erase(without_levels.find(events::StateKeyView{"m.room.power_levels", ""}));
  TestEvent high = state_event(kAlice, "m.room.topic", "{}", {"levels1", "alice"}, 8);
  add("topic", high);
  Names result =
      resolved(room_, {and_then(without_levels, {"name"}), and_then(without_levels, {"topic"})});
  EXPECT_TRUE(std::find(result.begin(), result.end(), "topic") != result.end());
}

TEST_P(PublicRoom, ThreeForksResolveInAnyOrder) {
  add("ban", member(kAlice, kBob, "ban", {"levels1", "alice", "bob"}, 6));
  add("topic bob", topic(kBob, {"levels1", "bob"}, 6));
  add("carol", member("@carol:a.example", "@carol:a.example", "join", {"levels1", "rules"}, 6));
  EXPECT_EQ(resolved(room_, {and_then(base_, {"ban"}), and_then(base_, {"topic bob"}),
                             and_then(base_, {"carol"})}),
            sorted({"create", "alice", "rules", "ban", "levels1", "carol"}));
}

INSTANTIATE_TEST_SUITE_P(Versions, PublicRoom, testing::Values("2", "6", "10", "11", "12"));

TEST(StateResolution, ProblemAResetsJoinRulesBeforeVersion12Only) {
  EXPECT_EQ(resolved(problem_a("11")),
            sorted({"create", "levels", "alice left", "bob++", "charlie++"}));
  EXPECT_EQ(resolved(problem_a("12")),
            sorted({"create", "levels", "private", "alice left", "bob++", "charlie++"}));
}

TEST(StateResolution, ProblemBResetsPowerLevelsBeforeVersion12Only) {
  EXPECT_EQ(resolved(problem_b("11")),
            sorted({"create", "alice", "public", "bob", "charlie", "eve++", "zara", "levels0"}));
  EXPECT_EQ(resolved(problem_b("12")),
            sorted({"create", "alice", "public", "bob", "charlie", "eve++", "zara", "levels2"}));
}

TEST(StateResolution, AsksNothingWithoutConflicts) {
  struct Nothing final : Source {
    Result<events::EventPtr> event(EventNumber) override { return failed(); }
    Result<std::optional<EventNumber>> number_of(const EventId&) override { return failed(); }
    Status auth_events(EventNumber, std::vector<EventNumber>&) override { return failed(); }
    Result<bool> is_rejected(EventNumber) override { return failed(); }
    Result<ChainPlace> chain_place(EventNumber) override { return failed(); }
    static Error failed() { return fail(ErrorCode::kIo, "disk"); }
  };
  Nothing source;
  const StateMap state = {{{"m.room.create", ""}, 1}, {{"m.room.topic", ""}, 2}};
  const StateMap other = {{{"m.room.create", ""}, 1}, {{"m.room.topic", ""}, 3}};
  const auto& rules = *events::find_room_version("11");
  auto result = resolve(rules, std::vector{state, state}, source);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(*result, state);
  for (const char* version : {"1", "2", "12"}) {
    auto failed = resolve(*events::find_room_version(version), std::vector{state, other}, source);
    ASSERT_FALSE(failed.ok()) << version;
    EXPECT_EQ(failed.error().code, ErrorCode::kIo);
  }
}

TEST(StateResolution, RefusesAuthEventsThatAreNotOlder) {
  class Circular final : public Source {
   public:
    explicit Circular(TestRoom& room) : room_(room) {}
    Result<events::EventPtr> event(EventNumber number) override { return room_.event(number); }
    Result<std::optional<EventNumber>> number_of(const EventId& id) override {
      return room_.number_of(id);
    }
    Status auth_events(EventNumber number, std::vector<EventNumber>& out) override {
      out.push_back(number);
      return {};
    }
    Result<bool> is_rejected(EventNumber) override { return false; }
    Result<ChainPlace> chain_place(EventNumber number) override {
      return room_.chain_place(number);
    }

   private:
    TestRoom& room_;
  };
  for (const char* version : {"2", "12"}) {
    TestRoom room(version);
    room.add("create", state_event(kAlice, "m.room.create", "{}", {}, 0));
    room.add("x", topic(kAlice, {}, 1));
    room.add("y", topic(kAlice, {}, 2));
    Circular source(room);
    auto result =
        resolve(room.rules(), std::vector{room.state({"create", "x"}), room.state({"create", "y"})},
                source);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::kCorrupt);
  }
}

TEST(StateResolution, RefusesKeysOfDifferentNumbersOfSets) {
  struct Agreed final : UnconflictedState {
    Result<std::optional<EventNumber>> find(events::StateKeyView) const override {
      return std::optional<EventNumber>();
    }
    Status each(const std::function<void(EventNumber)>&) const override { return {}; }
  };
  TestRoom room("11");
  const std::vector<EventNumber> events = {1, 2};
  const std::vector<ConflictedKey> keys = {{{"a", ""}, events},
                                           {{"b", ""}, std::span(events).first(1)}};
  auto result = resolve_conflicts(room.rules(), keys, Agreed(), room);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kInvalid);
}

TEST(StateResolution, MoreStateSetsThanAWordHasBits) {
  TestRoom room("11");
  room.add("create", state_event(kAlice, "m.room.create", "{}", {}, 0));
  room.add("alice", member(kAlice, kAlice, "join", {"create"}, 1));
  std::vector<StateMap> states;
  for (int i = 0; i < 70; ++i) {
    std::string name = "topic" + std::to_string(i);
    room.add(name, topic(kAlice, {"create", "alice"}, 2 + i));
    StateMap state = room.state({"create", "alice"});
    room.put(state, room.number(name));
    states.push_back(std::move(state));
  }
  auto result = resolve(room.rules(), states, room);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(room.names(*result), sorted({"create", "alice", "topic69"}));
}

}  // namespace
}  // namespace polder::dag
