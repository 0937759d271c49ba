#include "storage/stores/state_map.h"

#include <map>
#include <random>

#include "storage/stores/columns.h"

namespace polder::stores {
namespace {

// A snapshot that holds no nodes: everything is in the overlay.
class NoSnapshot final : public kv::Snapshot {
 public:
  Result<std::optional<std::string>> get(kv::ColumnId, std::string_view) const override {
    return std::optional<std::string>();
  }
  Result<std::vector<std::optional<std::string>>> multi_get(
      kv::ColumnId, std::span<const std::string> keys) const override {
    return std::vector<std::optional<std::string>>(keys.size());
  }
  std::unique_ptr<kv::Iterator> iterate(kv::ColumnId, kv::Range) const override { return nullptr; }
};

using Model = std::map<StateKey, EventNumber>;

// Maps of one room, with every node that was ever made.
class Maps {
 public:
  StateRoot apply(StateRoot root, const std::vector<StateEdit>& edits) {
    const auto update = state_apply(nodes(), root, edits, last_node_);
    EXPECT_TRUE(update.ok());
    last_node_ = update->last_node;
    for (const auto& [number, node] : update->new_nodes) {
      overlay_.emplace(number, node);
      bytes_ += node->encode().size();
      // What is written reads back.
      const auto back = StateNode::decode(node->encode());
      EXPECT_TRUE(back.ok());
      EXPECT_EQ(back->content_hash(), node->content_hash());
    }
    return update->root;
  }
  StateNodes nodes() { return {1, snapshot_, cache_, &overlay_}; }
  Model read(StateRoot root) {
    Model model;
    EXPECT_TRUE(state_for_each(nodes(), root, std::nullopt, [&](const StateEntry& entry) {
                  EXPECT_TRUE(model.emplace(entry.key, entry.event).second);
                  return true;
                }).ok());
    return model;
  }
  size_t bytes() const { return bytes_; }

 private:
  NoSnapshot snapshot_;
  StateNodeCache cache_{1000};
  StateNodes::Overlay overlay_;
  uint64_t last_node_ = 0;
  size_t bytes_ = 0;
};

std::vector<StateEdit> random_edits(std::mt19937_64& random, size_t keys) {
  std::vector<StateEdit> edits;
  for (size_t i = 1 + random() % 5; i > 0; --i) {
    const StateKey key{static_cast<uint32_t>(1 + random() % 3), random() % keys};
    edits.push_back(
        {key, random() % 4 == 0 ? std::nullopt : std::optional(1 + random() % 1'000'000)});
  }
  return edits;
}

void apply_to_model(Model& model, const std::vector<StateEdit>& edits) {
  for (const StateEdit& edit : edits) {
    if (edit.event) {
      model[edit.key] = *edit.event;
    } else {
      model.erase(edit.key);
    }
  }
}

TEST(StateMap, DoesWhatAnOrderedMapDoes) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    Maps maps;
    Model model;
    StateRoot root;
    const size_t keys = seed % 2 == 0 ? 20 : 2000;
    for (int step = 0; step < 300; ++step) {
      const auto edits = random_edits(random, keys);
      apply_to_model(model, edits);
      root = maps.apply(root, edits);
      const StateKey probe{1, random() % keys};
      const auto found = state_get(maps.nodes(), root, probe);
      ASSERT_TRUE(found.ok());
      EXPECT_EQ(*found, model.contains(probe) ? std::optional(model.at(probe)) : std::nullopt);
    }
    EXPECT_EQ(maps.read(root), model);
    EXPECT_EQ(root.node == 0, model.empty());
  }
}

TEST(StateMap, TheSameEntriesMakeTheSameTreeHoweverReached) {
  std::mt19937_64 random(3);
  Maps maps;
  StateRoot root;
  Model model;
  for (int step = 0; step < 500; ++step) {
    const auto edits = random_edits(random, 300);
    apply_to_model(model, edits);
    root = maps.apply(root, edits);
  }
  std::vector<StateEdit> all;
  for (const auto& [key, event] : model)
    all.push_back({key, event});
  EXPECT_EQ(maps.apply({}, all).hash, root.hash);
  for (int round = 0; round < 5; ++round) {
    std::shuffle(all.begin(), all.end(), random);
    StateRoot one_by_one;
    for (const StateEdit& edit : all)
      one_by_one = maps.apply(one_by_one, {edit});
    EXPECT_EQ(one_by_one.hash, root.hash);
  }
}

TEST(StateMap, AnUndoneChangeIsNoChange) {
  Maps maps;
  StateRoot root;
  for (uint64_t key = 0; key < 500; ++key)
    root = maps.apply(root, {{{1, key}, key + 1}});
  EXPECT_EQ(maps.apply(root, {{{1, 7}, 8}}), root);
  const StateRoot other = maps.apply(root, {{{1, 7}, 9}, {{2, 1}, 5}});
  EXPECT_NE(other.hash, root.hash);
  EXPECT_EQ(maps.apply(other, {{{1, 7}, 8}, {{2, 1}, std::nullopt}}).hash, root.hash);
}

TEST(StateMap, TheDifferenceIsWhatDiffers) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    Maps maps;
    Model a;
    StateRoot root_a;
    for (int step = 0; step < 100; ++step) {
      const auto edits = random_edits(random, 500);
      apply_to_model(a, edits);
      root_a = maps.apply(root_a, edits);
    }
    Model b = a;
    StateRoot root_b = root_a;
    for (uint64_t step = 0; step < seed; ++step) {
      const auto edits = random_edits(random, 500);
      apply_to_model(b, edits);
      root_b = maps.apply(root_b, edits);
    }
    Model seen_a, seen_b;
    const auto differences = state_diff(maps.nodes(), root_a, root_b);
    ASSERT_TRUE(differences.ok());
    for (const StateDifference& difference : *differences) {
      EXPECT_NE(difference.before, difference.after);
      if (difference.before) seen_a[difference.key] = *difference.before;
      if (difference.after) seen_b[difference.key] = *difference.after;
    }
    Model expected_a, expected_b;
    for (const auto& [key, event] : a) {
      if (!b.contains(key) || b.at(key) != event) expected_a[key] = event;
    }
    for (const auto& [key, event] : b) {
      if (!a.contains(key) || a.at(key) != event) expected_b[key] = event;
    }
    EXPECT_EQ(seen_a, expected_a);
    EXPECT_EQ(seen_b, expected_b);
  }
}

TEST(StateMap, OneTypeIsARange) {
  Maps maps;
  StateRoot root;
  for (uint64_t key = 0; key < 100; ++key)
    root = maps.apply(root, {{{1, key}, 1}, {{2, key}, key + 1}, {{3, key}, 3}});
  uint64_t next = 0;
  ASSERT_TRUE(state_for_each(maps.nodes(), root, 2, [&](const StateEntry& entry) {
                EXPECT_EQ(entry.key, (StateKey{2, next}));
                EXPECT_EQ(entry.event, next + 1);
                return ++next < 50;
              }).ok());
  EXPECT_EQ(next, 50u);
}

TEST(StateMap, AJoinIntoALargeRoomWritesLittle) {
  Maps maps;
  StateRoot root;
  constexpr uint64_t kMembers = 20'000;
  std::vector<StateEdit> most;
  for (uint64_t key = 0; key < kMembers; ++key)
    most.push_back({{1, key}, key + 1});
  root = maps.apply(root, most);
  const size_t before = maps.bytes();
  for (uint64_t key = kMembers; key < kMembers + 500; ++key)
    root = maps.apply(root, {{{1, key}, key + 1}});
  EXPECT_LT((maps.bytes() - before) / 500, 700u);
}

TEST(StateNode, DamageIsNoticed) {
  const StateNode node{1, {{{1, 5}, 7, 99}, {{2, 0}, 8, 100}}};
  const std::string bytes = node.encode();
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(StateNode::decode(bytes.substr(0, size)).ok()) << size;
  EXPECT_FALSE(StateNode::decode(bytes + "x").ok());
  const StateNode unordered{0, {{{2, 5}, 7, 0}, {{2, 5}, 8, 0}}};
  EXPECT_FALSE(StateNode::decode(unordered.encode()).ok());
  NoSnapshot snapshot;
  StateNodeCache cache(10);
  EXPECT_EQ(state_get(StateNodes(1, snapshot, cache), {5, 5}, {1, 1}).error().code,
            ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace polder::stores
