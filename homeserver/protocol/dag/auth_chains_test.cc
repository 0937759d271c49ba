#include "homeserver/protocol/dag/auth_chains.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "homeserver/protocol/dag/testing/memory_chains.h"

namespace polder::dag {
namespace {

using Numbers = std::vector<EventNumber>;

class Agreed final : public UnconflictedState {
 public:
  explicit Agreed(Numbers numbers) : numbers_(std::move(numbers)) {}
  Result<std::optional<EventNumber>> find(events::StateKeyView) const override {
    return std::optional<EventNumber>();
  }
  Status each(const std::function<void(EventNumber)>& visit) const override {
    for (EventNumber number : numbers_)
      visit(number);
    return {};
  }

 private:
  Numbers numbers_;
};

// Events that have nothing but a key and auth events, numbered from 1.
class Graph {
 public:
  EventNumber add(const std::string& key, Numbers auth_events) {
    auth_.push_back(std::move(auth_events));
    index.add(auth_.size(), {key, ""}, auth_.back());
    return auth_.size();
  }

  size_t size() const { return auth_.size(); }
  size_t edges() const {
    size_t edges = 0;
    for (const Numbers& auth : auth_)
      edges += auth.size();
    return edges;
  }

  // What the definitions say, set by set.
  std::set<EventNumber> chain_of(const Numbers& events) const {
    std::set<EventNumber> chain;
    Numbers waiting = events;
    while (!waiting.empty()) {
      const EventNumber next = waiting.back();
      waiting.pop_back();
      for (const EventNumber auth : auth_[next - 1]) {
        if (chain.insert(auth).second) waiting.push_back(auth);
      }
    }
    return chain;
  }
  Numbers difference(const std::vector<Numbers>& sets, const Numbers& unconflicted) const {
    std::map<EventNumber, size_t> counts;
    for (Numbers set : sets) {
      set.insert(set.end(), unconflicted.begin(), unconflicted.end());
      for (const EventNumber number : chain_of(set))
        ++counts[number];
    }
    Numbers difference;
    for (const auto& [number, count] : counts) {
      if (count < sets.size()) difference.push_back(number);
    }
    return difference;
  }
  Numbers subgraph(const Numbers& conflicted) const {
    const std::set<EventNumber> ends(conflicted.begin(), conflicted.end());
    std::set<EventNumber> reached = chain_of(conflicted);
    reached.insert(ends.begin(), ends.end());
    Numbers between;
    for (const EventNumber number : reached) {
      auto below = chain_of({number});
      below.insert(number);
      if (std::any_of(ends.begin(), ends.end(),
                      [&](EventNumber one) { return below.contains(one); }))
        between.push_back(number);
    }
    return between;
  }

  MemoryChains index;

 private:
  std::vector<Numbers> auth_;
};

// Events 1 to 6; 3 is in the chain of 5 and 6 but not of 4.
Graph six_events() {
  Graph graph;
  const std::vector<Numbers> auth = {{}, {1}, {1, 2}, {1, 2}, {1, 3}, {1, 3}};
  for (const Numbers& one : auth)
    graph.add("x", one);
  return graph;
}

TEST(AuthChains, DifferenceIsWhatSomeChainsLack) {
  Graph graph = six_events();
  EXPECT_EQ(*auth_difference({{{4}, {5}}, Agreed({})}, graph.index), Numbers{3});
}

TEST(AuthChains, ChainsOfUnconflictedEventsAreInEveryState) {
  Graph graph = six_events();
  EXPECT_EQ(*auth_difference({{{4}, {5}}, Agreed({6})}, graph.index), Numbers{});
}

TEST(AuthChains, SubgraphIsWhatLiesBetween) {
  Graph graph = six_events();
  EXPECT_EQ(*conflicted_subgraph(Numbers{2, 5}, graph.index), (Numbers{2, 3, 5}));
  EXPECT_EQ(*conflicted_subgraph(Numbers{4, 5}, graph.index), (Numbers{4, 5}));
  EXPECT_EQ(*conflicted_subgraph(Numbers{}, graph.index), Numbers{});
}

TEST(AuthChains, AnEventFollowsTheLastOneOfItsKeyThatItNames) {
  Graph graph;
  graph.add("create", {});
  graph.add("levels", {1});
  graph.add("levels", {1, 2});     // follows 2
  graph.add("levels", {1, 2});     // 2 has a successor
  graph.add("other", {1, 2, 3});   // of another key
  graph.add("levels", {1, 2, 4});  // follows 4
  const auto chain = [&](EventNumber number) { return graph.index.chain_place(number)->chain; };
  EXPECT_EQ(chain(3), 2u);
  EXPECT_EQ(chain(4), 4u);
  EXPECT_EQ(chain(5), 5u);
  EXPECT_EQ(chain(6), 4u);
}

TEST(AuthChains, WhatFollowsFromOtherLinksIsNotStored) {
  Graph graph;
  graph.add("create", {});
  graph.add("alice", {1});
  graph.add("levels", {1, 2});
  graph.add("levels", {1, 2, 3});
  const auto links = [&](EventNumber number) {
    return graph.index.chain_place(number)->links.size();
  };
  EXPECT_EQ(links(2), 1u);
  EXPECT_EQ(links(3), 1u);  // of alice; she reaches the create event
  EXPECT_EQ(links(4), 0u);  // what the levels before reach
  EXPECT_EQ(graph.index.chain_place(4)->linked, 3u);
}

// A graph in which keys are few, so that chains are long, branch and cross.
Graph random_graph(std::mt19937& random, size_t events, size_t keys) {
  const auto pick = [&](size_t count) {
    return std::uniform_int_distribution<size_t>(0, count - 1)(random);
  };
  Graph graph;
  for (size_t number = 1; number <= events; ++number) {
    Numbers auth;
    for (size_t i = 0, count = pick(5); i < count && number > 1; ++i) {
      const size_t back = pick(2) ? std::min<size_t>(number - 1, 6) : number - 1;
      auth.push_back(number - 1 - pick(back));
    }
    graph.add(std::to_string(pick(keys)), auth);
  }
  return graph;
}

TEST(AuthChains, AnswersAreThoseOfTheDefinitions) {
  size_t differing = 0;
  size_t between = 0;
  for (unsigned seed = 0; seed < 1500; ++seed) {
    std::mt19937 random(seed);
    const size_t events = 5 + seed % 60;
    Graph graph = random_graph(random, events, 1 + seed % 7);
    const auto some = [&](size_t most) {
      Numbers numbers;
      for (size_t i = 0, count = random() % (most + 1); i < count; ++i)
        numbers.push_back(1 + random() % events);
      return numbers;
    };
    std::vector<Numbers> sets;
    for (size_t i = 0, count = 2 + seed % 3; i < count; ++i)
      sets.push_back(some(4));
    const Numbers unconflicted = some(3);
    const auto difference = auth_difference({sets, Agreed(unconflicted)}, graph.index);
    ASSERT_TRUE(difference.ok()) << difference.error().message;
    ASSERT_EQ(*difference, graph.difference(sets, unconflicted)) << "seed " << seed;
    const Numbers conflicted = some(5);
    const auto subgraph = conflicted_subgraph(conflicted, graph.index);
    ASSERT_TRUE(subgraph.ok()) << subgraph.error().message;
    ASSERT_EQ(*subgraph, graph.subgraph(conflicted)) << "seed " << seed;
    differing += difference->size();
    between += subgraph->size() - std::set(conflicted.begin(), conflicted.end()).size();
  }
  EXPECT_GT(differing, 1000u);
  EXPECT_GT(between, 1000u);
}

// Graphs that a hostile server would make, of about `size` events with at most ten auth events.
struct Crafted {
  const char* name;
  Graph (*make)(size_t size);
};

const std::vector<Crafted> kCrafted = {
    {"a wide fork",
     [](size_t size) {
       Graph graph;
       graph.add("create", {});
       for (size_t i = 1; i < size; ++i)
         graph.add("levels", {1});
       return graph;
     }},
    {"layers of chains that are linked all to all",
     [](size_t size) {
       Graph graph;
       Numbers layer;
       for (size_t i = 0; i < size / 10; ++i) {
         Numbers next;
         for (size_t chain = 0; chain < 10; ++chain)
           next.push_back(graph.add(std::to_string(chain), layer));
         layer = std::move(next);
       }
       return graph;
     }},
    {"two long chains that cite each other in turns",
     [](size_t size) {
       Graph graph;
       graph.add("a", {});
       graph.add("b", {1});
       for (size_t i = 3; i <= size; ++i)
         graph.add(i % 2 ? "a" : "b", {i - 2, i - 1});
       return graph;
     }},
    {"chains that cite older and older events",
     [](size_t size) {
       Graph graph;
       for (size_t i = 1; i <= size / 2; ++i)
         graph.add("key" + std::to_string(i), i == 1 ? Numbers{} : Numbers{i - 1});
       for (size_t i = size / 2 + 1; i <= size; ++i) {
         Numbers auth = {size - i + 1};
         if (i > size / 2 + 1) auth.push_back(i - 1);
         graph.add("x", auth);
       }
       return graph;
     }},
    {"nothing but single events that cite the ten before",
     [](size_t size) {
       Graph graph;
       for (size_t i = 1; i <= size; ++i) {
         Numbers auth;
         for (size_t back = 1; back <= 10 && back < i; ++back)
           auth.push_back(i - back);
         graph.add("key" + std::to_string(i), auth);
       }
       return graph;
     }},
};

// What follows from links is not stored, and no question looks at an event twice in a state set.
TEST(AuthChains, NoGraphCostsMoreThanItIsLarge) {
  constexpr size_t kSize = 2000;
  for (const Crafted& crafted : kCrafted) {
    Graph graph = crafted.make(kSize);
    EXPECT_LE(graph.index.links(), graph.edges()) << crafted.name;
    const EventNumber last = graph.size();
    const size_t before = graph.index.reads();
    const auto difference =
        auth_difference({{{last}, {last - 1}, {last / 2}}, Agreed({last / 3})}, graph.index);
    ASSERT_TRUE(difference.ok()) << crafted.name;
    EXPECT_LE(graph.index.reads() - before, 5 * kSize + 10) << crafted.name;
    const size_t between = graph.index.reads();
    ASSERT_TRUE(conflicted_subgraph(Numbers{last, last - 1, 1}, graph.index).ok()) << crafted.name;
    EXPECT_LE(graph.index.reads() - between, 2 * kSize + 10) << crafted.name;
  }
}

// Adding looks back over a limited part of the chain.
TEST(AuthChains, AddingAnEventCostsTheSameInEveryGraph) {
  for (const Crafted& crafted : kCrafted) {
    Graph small = crafted.make(1000);
    Graph large = crafted.make(4000);
    EXPECT_LE(small.index.reads(), 1000 * (12 + 10 * kMaxImplyingSteps)) << crafted.name;
    EXPECT_LE(large.index.reads(), 5 * small.index.reads()) << crafted.name;
  }
}

// A member who leaves and comes back again and again; others' chains are not looked at.
TEST(AuthChains, LongChainsAreLeaptOver) {
  Graph graph;
  graph.add("create", {});
  graph.add("levels", {1});
  EventNumber member = graph.add("member", {1, 2});
  for (size_t i = 0; i < 5000; ++i)
    member = graph.add("member", {1, 2, member});
  const EventNumber one = graph.add("member", {1, 2, member});
  const EventNumber other = graph.add("member", {1, 2, member});
  const size_t before = graph.index.reads();
  EXPECT_EQ(*auth_difference({{{one}, {other}}, Agreed({2, 3})}, graph.index), Numbers{});
  EXPECT_LE(graph.index.reads() - before, 20u);
}

TEST(AuthChains, AnIndexThatLeadsInACircleIsRefused) {
  struct Circle final : ChainIndex {
    Result<ChainPlace> chain_place(EventNumber number) override {
      return ChainPlace{1, number == 1 ? 0 : number, 0, links};
    }
    std::vector<ChainLink> links = {{2, 2}};
  };
  Circle circle;
  const auto difference = auth_difference({{{2}, {1}}, Agreed({})}, circle);
  ASSERT_FALSE(difference.ok());
  EXPECT_EQ(difference.error().code, ErrorCode::kCorrupt);
  EXPECT_FALSE(conflicted_subgraph(Numbers{2, 1}, circle).ok());
}

TEST(AuthChains, UnknownEventsEndTheQuestion) {
  Graph graph = six_events();
  EXPECT_EQ(auth_difference({{{9}, {4}}, Agreed({})}, graph.index).error().code,
            ErrorCode::kNotFound);
  EXPECT_EQ(conflicted_subgraph(Numbers{9}, graph.index).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace polder::dag
