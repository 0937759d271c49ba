// Random histories of states, swept at any moment: what is reachable reads, the rest goes.
#include "storage/stores/rooms/state_sweep.h"

#include <map>
#include <random>

#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"
#include "storage/stores/rooms/state_map.h"

namespace polder::stores {
namespace {

constexpr RoomNumber kRoom = 7;
using Model = std::map<StateKey, EventNumber>;

class StateSweepTest : public testing::Test {
 protected:
  void write(const kv::Batch& batch) {
    const kv::Batch* one = &batch;
    ASSERT_TRUE(database_->write({&one, 1}, database_->last_position() + 1, true).ok());
  }
  // A map that nobody wrote down yet.
  StateRoot edit(StateRoot root, const std::vector<StateEdit>& edits) {
    const auto snapshot = database_->snapshot();
    const auto update =
        state_apply(StateNodes(kRoom, *snapshot, cache_), root, edits, record_.last_node);
    EXPECT_TRUE(update.ok());
    record_.last_node = update->last_node;
    kv::Batch batch;
    put_state_nodes(batch, kRoom, *update);
    put_room(batch, kRoom, record_);
    write(batch);
    return update->root;
  }
  // An event that has the map before or after it, or leaves the room with it.
  void add_event(StateRoot root) {
    EventRecord event;
    switch (record_.last_event % 3) {
      case 0:
        event.state_before = root;
        break;
      case 1:
        event.state_after = root;
        break;
      default:
        event.room_state = root;
    }
    event.standing.outlier = true;  // nothing but the record
    kv::Batch batch;
    put_event_record(batch, {kRoom, ++record_.last_event}, event);
    put_room(batch, kRoom, record_);
    write(batch);
  }
  void forget_event(EventNumber number) {
    EventRecord nothing;
    nothing.standing.outlier = true;
    kv::Batch batch;
    put_event_record(batch, {kRoom, number}, nothing);
    write(batch);
  }
  Model read(StateRoot root) {
    Model model;
    const auto snapshot = database_->snapshot();
    StateNodeCache nothing(10);
    EXPECT_TRUE(state_for_each(StateNodes(kRoom, *snapshot, nothing), root, std::nullopt,
                               [&](const StateEntry& entry) {
                                 model.emplace(entry.key, entry.event);
                                 return true;
                               })
                    .ok());
    return model;
  }
  StateSweep begin_sweep(uint64_t upto) {
    return StateSweep(kRoom, database_->snapshot(), record_, upto);
  }
  void finish(StateSweep& sweep) {
    for (;;) {
      const auto done = sweep.step(13);
      ASSERT_TRUE(done.ok()) << done.error().message;
      if (*done) break;
    }
    kv::Batch batch;
    erase_state_rows(batch, kRoom, sweep.unreachable_rows());
    if (!batch.empty()) write(batch);
  }
  size_t rows() {
    const auto snapshot = database_->snapshot();
    const auto walk = snapshot->iterate(kStateNodes, {});
    size_t count = 0;
    for (walk->seek_to_first(); walk->valid(); walk->next())
      ++count;
    return count;
  }

  kv::MemoryDisk disk_;
  std::unique_ptr<kv::Database> database_ = kv::open_memory(kColumns, disk_);
  StateNodeCache cache_{1 << 20};
  RoomRecord record_;
};

class RandomStateSweepTest : public StateSweepTest, public testing::WithParamInterface<int> {};

TEST_P(RandomStateSweepTest, WhatIsReachableStaysAndTheRestGoes) {
  std::mt19937_64 chance(static_cast<uint64_t>(GetParam()));
  const auto below = [&](uint64_t bound) { return chance() % bound; };
  std::map<EventNumber, std::pair<StateRoot, Model>> kept;  // of events
  Model model;
  StateRoot root;
  for (uint64_t i = 1; i <= 300; ++i) {
    std::vector<StateEdit> edits;
    for (uint64_t n = 1 + below(3); n > 0; --n) {
      const StateKey key{static_cast<uint32_t>(1 + below(3)), below(60)};
      const bool removes = below(4) == 0;
      edits.push_back({key, removes ? std::nullopt : std::optional<EventNumber>(i)});
      if (removes) model.erase(key);
      if (!removes) model[key] = i;
    }
    root = edit(root, edits);
    if (below(3) == 0) {
      add_event(root);
      kept[record_.last_event] = {root, model};
    } else if (below(3) == 0 && !kept.empty()) {
      // Back to a state of before: what was made since then is garbage.
      auto place = kept.begin();
      std::advance(place, static_cast<std::ptrdiff_t>(below(kept.size())));
      std::tie(root, model) = place->second;
    }
    if (below(10) == 0 && !kept.empty()) {
      // An event is purged, and with it what only it had.
      auto place = kept.begin();
      std::advance(place, static_cast<std::ptrdiff_t>(below(kept.size())));
      forget_event(place->first);
      kept.erase(place);
    }
    if (below(20) != 0) continue;
    // The walk's root may be in nobody's record: it is beyond what is judged, or reachable.
    record_.state = root;
    StateSweep sweep = begin_sweep(record_.last_node);
    EXPECT_TRUE(sweep.step(below(50)).ok());
    // Meanwhile the room goes on.
    root = edit(root, {{{1, below(60)}, i}});
    model = read(root);
    finish(sweep);
    EXPECT_EQ(read(root), model);
    for (const auto& [number, state] : kept)
      EXPECT_EQ(read(state.first), state.second) << number;
  }
  // Without events and state nothing is left.
  for (const auto& [number, state] : kept)
    forget_event(number);
  record_.state = {};
  EXPECT_GT(rows(), 0u);
  StateSweep last = begin_sweep(record_.last_node);
  finish(last);
  EXPECT_EQ(rows(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomStateSweepTest, testing::Range(1, 30));

TEST_F(StateSweepTest, NodesBeyondTheBoundAreNotJudged) {
  edit({}, {{{1, 1}, 1}});
  const uint64_t upto = record_.last_node;
  edit({}, {{{1, 2}, 2}});
  StateSweep sweep = begin_sweep(upto);
  finish(sweep);
  EXPECT_EQ(rows(), 1u);
}

TEST_F(StateSweepTest, DamageEndsIt) {
  const StateRoot root = edit({}, {{{1, 1}, 1}});
  record_.state = {root.node + 1, 1};
  StateSweep sweep = begin_sweep(record_.last_node);
  EXPECT_EQ(sweep.step(100).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(rows(), 1u);
}

}  // namespace
}  // namespace polder::stores
