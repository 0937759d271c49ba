#include "homeserver/protocol/dag/ordering.h"

#include <string>

#include "homeserver/protocol/dag/testing/room.h"

namespace polder::dag {
namespace {

constexpr const char* kAlice = "@alice:a.example";
constexpr const char* kBob = "@bob:b.example";

using Names = std::vector<std::string>;

// A room of version 2, whose event ids are its events' names: Alice has 100, Bob 50.
class Ordering : public testing::Test {
 protected:
  Ordering() : room_("2") {
    add("create", kAlice, "m.room.create", "", {}, 0, R"({"creator":"@alice:a.example"})");
    add("alice", kAlice, "m.room.member", kAlice, {"create"}, 1);
    add("levels0", kAlice, "m.room.power_levels", "", {"create", "alice"}, 2,
        R"({"users":{"@alice:a.example":100,"@bob:b.example":50}})");
    add("bob", kBob, "m.room.member", kBob, {"create", "levels0"}, 3);
  }
  void add(const std::string& name, const std::string& sender, const std::string& type,
           const std::string& key, Names auth, int64_t ts, const std::string& content = "{}") {
    room_.add(name, {.sender = sender,
                     .type = type,
                     .state_key = key,
                     .content = content,
                     .auth = std::move(auth),
                     .ts = ts});
  }
  void add_topic(const std::string& name, const std::string& sender, Names auth, int64_t ts) {
    auth.insert(auth.begin(), "create");
    add(name, sender, "m.room.topic", "", std::move(auth), ts);
  }
  std::vector<Slot> slots(const Names& names, EventCache& cache) const {
    std::vector<Slot> slots;
    for (const std::string& name : names)
      slots.push_back(cache.slot_of(room_.number(name)));
    return slots;
  }
  Names names(const Result<std::pmr::vector<Slot>>& order, const EventCache& cache) const {
    Names names;
    if (!order.ok()) return {order.error().message};
    for (const Slot slot : *order)
      names.push_back(room_.name_of(cache.number_of(slot)));
    return names;
  }
  Names by_power(const Names& set) {
    EventCache cache(room_);
    return names(power_ordering(slots(set, cache), cache), cache);
  }
  Names by_mainline(const Names& set, const std::string& top) {
    EventCache cache(room_);
    std::optional<Slot> levels;
    if (!top.empty()) levels = cache.slot_of(room_.number(top));
    return names(mainline_ordering(slots(set, cache), levels, cache), cache);
  }

  TestRoom room_;
};

TEST_F(Ordering, NothingIsInOrder) {
  EXPECT_EQ(by_power({}), Names{});
  EXPECT_EQ(by_mainline({}, "levels0"), Names{});
}

TEST_F(Ordering, AuthEventsComeBeforeWhatTheyAuthorise) {
  EXPECT_EQ(by_power({"bob", "levels0", "alice", "create"}),
            (Names{"create", "alice", "levels0", "bob"}));
}

TEST_F(Ordering, MorePowerComesFirst) {
  add_topic("of bob", kBob, {"levels0", "bob"}, 4);
  add_topic("of alice", kAlice, {"levels0", "alice"}, 9);
  EXPECT_EQ(by_power({"of bob", "of alice"}), (Names{"of alice", "of bob"}));
}

TEST_F(Ordering, PowerIsWhatAnEventsOwnAuthEventsSay) {
  add("levels1", kAlice, "m.room.power_levels", "", {"create", "alice", "levels0"}, 4,
      R"({"users":{"@alice:a.example":100,"@bob:b.example":100}})");
  add_topic("of promoted bob", kBob, {"levels1", "bob"}, 5);
  add_topic("of bob", kBob, {"levels0", "bob"}, 4);
  EXPECT_EQ(by_power({"of bob", "of promoted bob"}), (Names{"of promoted bob", "of bob"}));
}

TEST_F(Ordering, WithoutLevelsTheCreatorHasMore) {
  add_topic("of bob", kBob, {"bob"}, 4);
  add_topic("of alice", kAlice, {"alice"}, 9);
  EXPECT_EQ(by_power({"of bob", "of alice"}), (Names{"of alice", "of bob"}));
}

TEST_F(Ordering, TimestampsThenIdsBreakTiesOfPower) {
  add_topic("b", kAlice, {"levels0", "alice"}, 5);
  add_topic("c", kAlice, {"levels0", "alice"}, 5);
  add_topic("a", kAlice, {"levels0", "alice"}, 6);
  EXPECT_EQ(by_power({"a", "c", "b"}), (Names{"b", "c", "a"}));
}

TEST_F(Ordering, OlderPlacesOnTheMainlineComeFirst) {
  for (int i = 1; i <= 3; ++i) {
    add("levels" + std::to_string(i), kAlice, "m.room.power_levels", "",
        {"create", "alice", "levels" + std::to_string(i - 1)}, 10 + i);
  }
  add("side", kAlice, "m.room.power_levels", "", {"create", "alice", "levels1"}, 20);
  add_topic("on none", kAlice, {"alice"}, 9);
  add_topic("on 0", kAlice, {"levels0"}, 8);
  add_topic("on 1", kAlice, {"levels1"}, 7);
  add_topic("on side of 1", kAlice, {"side"}, 6);
  add_topic("on 2", kAlice, {"levels2"}, 5);
  add_topic("on 3", kAlice, {"levels3"}, 4);
  const Names all = {"on 3", "on side of 1", "on none", "on 1", "on 2", "on 0"};
  EXPECT_EQ(by_mainline(all, "levels3"),
            (Names{"on none", "on 0", "on side of 1", "on 1", "on 2", "on 3"}));
  EXPECT_EQ(by_mainline(all, "levels1"),
            (Names{"on none", "on 0", "on 3", "on 2", "on side of 1", "on 1"}));
  EXPECT_EQ(by_mainline(all, ""),
            (Names{"on 3", "on 2", "on side of 1", "on 1", "on 0", "on none"}));
}

TEST_F(Ordering, TimestampsThenIdsBreakTiesOfTheMainline) {
  add_topic("b", kAlice, {"levels0"}, 5);
  add_topic("c", kBob, {"levels0"}, 5);
  add_topic("a", kAlice, {"levels0"}, 6);
  EXPECT_EQ(by_mainline({"a", "c", "b"}, "levels0"), (Names{"b", "c", "a"}));
}

}  // namespace
}  // namespace polder::dag
