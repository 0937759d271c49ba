// What staging leaves in the room's memory, whatever becomes of it.
#include "homeserver/rooms/engine/testing/engine.h"

namespace polder::rooms {
namespace {

// Refuses what it is told to.
class Refusing final : public Contributor {
 public:
  bool refuses = false;
  Status contribute(const StoredEvent&, const std::vector<StateChange>&, kv::Batch&) override {
    return refuses ? Status(fail(ErrorCode::kUnavailable, "not now")) : Status();
  }
};

class StageTest : public RoomsTest {
 protected:
  StageTest()
      : id_(create()), head_(*engine_->source().head(id_)), room_(*runtime_, head_->number) {
    room_.loaded = room_.exists = true;
    room_.record = head_->record;
    room_.rules = head_->rules;
    join_ = remote_membership(id_, bob_, "join");
    contributors_.push_back(&refusing_);
  }
  // bob's join, that others refer to, and then at its place.
  Staged outlier() {
    auto staged = stage_outlier(context_, room_, *database_->snapshot(), join_);
    EXPECT_TRUE(staged.ok()) << staged.error().message;
    return *std::move(staged);
  }
  Result<Staged> at_its_place() {
    StageInput input;
    input.event = join_;
    return stage(context_, room_, *database_->snapshot(), std::move(input));
  }
  void commit(Staged staged) {
    ASSERT_TRUE(run(committer_->commit(std::move(staged.batch))).ok());
    names_->committed(staged.names);
    room_.settled.push_back({staged.stored.place.number, join_->id(), staged.nodes});
    room_.settle(engine_->source().caches);
  }
  bool is_outlier() {
    const auto snapshot = database_->snapshot();
    const RoomView view(room_, *snapshot, *names_, engine_->source().caches);
    const auto number = view.find(join_->id());
    EXPECT_TRUE(number.ok() && *number);
    return view.record(**number)->standing.outlier;
  }

  const RoomId id_;
  const RoomHeadPtr head_;
  Room room_;
  events::EventPtr join_;
  Refusing refusing_;
  std::vector<Contributor*> contributors_;
  const push_rules::RuleSet rules_;
  const StageContext context_{*names_, engine_->source().caches, own_, contributors_, rules_};
};

TEST_F(StageTest, WhatTwoCommitsWriteIsHeldUntilTheSecond) {
  Staged told = outlier();
  auto placed = at_its_place();
  ASSERT_TRUE(placed.ok()) << placed.error().message;
  commit(std::move(told));
  EXPECT_FALSE(is_outlier()) << "the second is under way";
  EXPECT_EQ(room_.pending.size(), 1u);
  commit(*std::move(placed));
  EXPECT_FALSE(is_outlier());
  EXPECT_TRUE(room_.pending.empty());
  EXPECT_TRUE(room_.pending_ids.empty());
}

TEST_F(StageTest, WhatFailsLeavesWhatWasThere) {
  Staged told = outlier();
  refusing_.refuses = true;
  ASSERT_EQ(at_its_place().error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(is_outlier());
  refusing_.refuses = false;
  auto placed = at_its_place();
  ASSERT_TRUE(placed.ok()) << placed.error().message;
  commit(std::move(told));
  commit(*std::move(placed));
  EXPECT_FALSE(is_outlier());
  EXPECT_TRUE(room_.pending.empty());
}

// Whoever can fork a room can have events join the same forks again and again.
TEST_F(StageTest, TheSameStatesAreResolvedOnce) {
  std::vector<stores::StateRoot> roots = {head_->record.state};
  ASSERT_TRUE(set_membership(id_, carol_, carol_, "join").ok());
  roots.push_back((*engine_->source().head(id_))->record.state);
  std::ranges::sort(roots, {}, &stores::StateRoot::hash);
  std::vector<uint64_t> hashes;
  for (const stores::StateRoot& root : roots)
    hashes.push_back(root.hash);
  const auto now = database_->snapshot();
  RoomView later(room_, *now, *names_, engine_->source().caches);
  const auto first = resolve_states(room_, later, roots, room_.record.last_node);
  ASSERT_TRUE(first.ok()) << first.error().message;
  auto& kept = engine_->source().caches.resolutions;
  ASSERT_NE(kept.find(room_.number, resolution_key(hashes)), nullptr);
  // What is remembered is what is taken.
  auto other = std::make_shared<Resolution>();
  other->states = hashes;
  kept.insert(room_.number, resolution_key(hashes), other, 0);
  const auto again = resolve_states(room_, later, roots, room_.record.last_node);
  EXPECT_EQ(again->root, roots[0]);
}

}  // namespace
}  // namespace polder::rooms
