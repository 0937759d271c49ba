#include "storage/stores/rooms/state_map.h"

#include <map>
#include <random>

#include "storage/keys/key.h"
#include "storage/stores/base/columns.h"

namespace polder::stores {
namespace {

// A snapshot of rows of state nodes.
class Rows final : public kv::Snapshot {
 public:
  Result<std::optional<std::string>> get(kv::ColumnId, std::string_view key) const override {
    const auto found = rows.find(std::string(key));
    return found == rows.end() ? std::nullopt : std::optional(found->second);
  }
  Result<std::vector<std::optional<std::string>>> multi_get(
      kv::ColumnId, std::span<const std::string> keys) const override {
    return std::vector<std::optional<std::string>>(keys.size());
  }
  std::unique_ptr<kv::Iterator> iterate(kv::ColumnId, kv::Range) const override { return nullptr; }

  std::map<std::string, std::string> rows;
};

using Model = std::map<StateKey, EventNumber>;

// Maps of one room, with every node that was ever made.
class Maps {
 public:
  StateRoot apply(StateRoot root, const std::vector<StateEdit>& edits) {
    const auto update = state_apply(nodes(), root, edits, last_node_);
    EXPECT_TRUE(update.ok());
    last_node_ = update->last_node;
    kv::Batch batch;
    put_state_nodes(batch, 1, *update);
    for (const kv::Batch::Op& op : batch.ops()) {
      const std::string_view value = batch.value(op);
      EXPECT_TRUE(rows_.rows.emplace(batch.key(op), value).second) << "a row is written once";
      bytes_ += batch.key(op).size() + value.size();
    }
    for (const WrittenNode& written : update->new_nodes) {
      // What is written reads back.
      const auto back = nodes().load(written.number);
      EXPECT_TRUE(back.ok());
      if (!back.ok()) continue;
      EXPECT_EQ((*back)->items, written.node->items);
      EXPECT_EQ((*back)->steps, written.node->steps);
      most_steps_ = std::max(most_steps_, (*back)->steps);
    }
    return update->root;
  }
  // Every second time with nothing in the cache.
  StateNodes nodes() {
    if (++asked_ % 2 == 0) cache_ = std::make_unique<StateNodeCache>(1 << 20);
    return {1, rows_, *cache_};
  }
  Model read(StateRoot root) {
    Model model;
    EXPECT_TRUE(state_for_each(nodes(), root, std::nullopt, [&](const StateEntry& entry) {
                  EXPECT_TRUE(model.emplace(entry.key, entry.event).second);
                  return true;
                }).ok());
    return model;
  }
  size_t bytes() const { return bytes_; }
  size_t rows() const { return rows_.rows.size(); }
  uint8_t most_steps() const { return most_steps_; }

 private:
  Rows rows_;
  std::unique_ptr<StateNodeCache> cache_ = std::make_unique<StateNodeCache>(1 << 20);
  size_t asked_ = 0;
  uint8_t most_steps_ = 0;
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
  const size_t bytes = maps.bytes();
  const size_t rows = maps.rows();
  for (uint64_t key = kMembers; key < kMembers + 500; ++key)
    root = maps.apply(root, {{{1, key}, key + 1}});
  EXPECT_LT((maps.bytes() - bytes) / 500, 250u);
  EXPECT_EQ(maps.rows() - rows, 500u);
  EXPECT_EQ(maps.most_steps(), kNodeStepsMax);
}

// A row with two nodes, the second as edits of the node 16 of the row before.
struct TwoRows {
  TwoRows() {
    const StateNode first{0,
                          0,
                          {{{1, 5}, 7, 0},
                           {{1, 6}, 8, 0},
                           {{2, 0}, 9, 0},
                           {{2, 2}, 9, 0},
                           {{2, 3}, 9, 0},
                           {{2, 4}, 9, 0}}};
    const WrittenNode whole = written_node(16, first, 0, nullptr);
    StateNode second = first;
    second.items[1].value = 10;
    second.items.erase(second.items.begin() + 2);
    leaf = written_node(32, second, 16, whole.node);
    const StateNode above{1, 0, {{{1, 6}, 16, 99}, {{2, 4}, 32, 100}}};
    rows.rows[key(1)] = encode_state_row(1, {whole});
    rows.rows[key(2)] = encode_state_row(2, {leaf, written_node(33, above, 0, nullptr)});
  }
  static std::string key(uint64_t row) { return keys::KeyWriter().u64(1).u64(row).str(); }
  Result<StateNodePtr> load(uint64_t node) const {
    StateNodeCache cache(10);
    return StateNodes(1, rows, cache).load(node);
  }

  Rows rows;
  WrittenNode leaf;
};

TEST(StateNode, IsWrittenAsEditsOfAnOlderOne) {
  TwoRows two;
  EXPECT_EQ(two.leaf.base, 16u);
  EXPECT_EQ(two.leaf.edits.size(), 2u);
  ASSERT_TRUE(two.load(32).ok());
  EXPECT_EQ((*two.load(32))->items, two.leaf.node->items);
  EXPECT_EQ((*two.load(32))->steps, 1);
  EXPECT_EQ((*two.load(33))->items[1].value, 32u);
}

TEST(StateNode, DamageIsNoticed) {
  const TwoRows two;
  const auto damaged = [&](uint64_t row, const std::string& bytes, uint64_t node) {
    TwoRows other;
    other.rows.rows[TwoRows::key(row)] = bytes;
    const auto loaded = other.load(node);
    return !loaded.ok() && loaded.error().code == ErrorCode::kCorrupt;
  };
  const std::string bytes = two.rows.rows.at(TwoRows::key(2));
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_TRUE(damaged(2, bytes.substr(0, size), 33)) << size;
  EXPECT_TRUE(damaged(2, bytes + "x", 34));
  EXPECT_TRUE(damaged(1, "", 32)) << "the base is gone";
  const auto whole = [](uint64_t number, StateNode node) {
    return written_node(number, std::move(node), 0, nullptr);
  };
  const auto row = [&](uint64_t number, StateNode node) {
    return encode_state_row(number / kNodesPerRow, {whole(number, std::move(node))});
  };
  EXPECT_TRUE(damaged(1, row(16, {0, 0, {{{2, 5}, 7, 0}, {{2, 5}, 8, 0}}}), 16)) << "order";
  EXPECT_TRUE(damaged(1, row(16, {0, 0, {{{2, 5}, 0, 0}}}), 16)) << "no event";
  EXPECT_TRUE(damaged(1, row(16, {0, 0, {}}), 16)) << "empty";
  EXPECT_TRUE(damaged(1, row(16, {1, 0, {{{2, 5}, 16, 1}}}), 16)) << "its own child";
  EXPECT_TRUE(damaged(1, row(16, {22, 0, {{{2, 5}, 1, 1}}}), 16)) << "too high";
  EXPECT_TRUE(damaged(1, row(16, {1, 0, {{{2, 4}, 3, 1}}}), 32)) << "a base of another level";
  EXPECT_TRUE(damaged(1, row(17, {0, 0, {{{2, 4}, 3, 0}}}), 32)) << "no such node in the row";
  const Rows nothing;
  StateNodeCache cache(10);
  EXPECT_EQ(state_get(StateNodes(1, nothing, cache), {5, 5}, {1, 1}).error().code,
            ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace polder::stores
