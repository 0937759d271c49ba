#include "homeserver/rooms/upkeep/reclaim.h"

#include "homeserver/rooms/engine/testing/engine.h"

namespace polder::rooms {
namespace {

class ReclaimTest : public RoomsTest {
 protected:
  // A node that nothing leads to, in the row that no update uses.
  void add_garbage(RoomNumber room) {
    const auto content =
        std::make_shared<const stores::StateNode>(stores::StateNode{0, 0, {{{1, 1}, 1, 0}}});
    kv::Batch batch;
    stores::put_state_row(batch, room, 0, {{1, content, 0, {}}});
    write(std::move(batch));
  }
  void write(kv::Batch batch) { ASSERT_TRUE(run(committer_->commit(std::move(batch))).ok()); }
  uint64_t pass(Reclaimer& reclaimer) {
    const auto rows = run(reclaimer.pass());
    EXPECT_TRUE(rows.ok());
    return rows.ok() ? *rows : 0;
  }
};

TEST_F(ReclaimTest, WhatNothingLeadsToGoesAndTheRoomStays) {
  const RoomId room = create();
  for (int i = 0; i < 30; ++i)
    ASSERT_TRUE(set_membership(room, alice_, UserId::trusted("@user" + std::to_string(i) + ":own"),
                               "invite")
                    .ok());
  const std::string before = state(room, "m.room.member", "@user7:own");
  add_garbage((*engine_->source().head(room))->number);
  Reclaimer reclaimer(*runtime_, *database_, *committer_);
  EXPECT_EQ(pass(reclaimer), 0u) << "it may be new";
  EXPECT_EQ(pass(reclaimer), 1u);
  EXPECT_EQ(pass(reclaimer), 0u);
  crash();
  EXPECT_EQ(state(room, "m.room.member", "@user7:own"), before);
  EXPECT_TRUE(say(room, alice_, "on").ok());
}

TEST_F(ReclaimTest, RoomsThatMakeNodesAreLookedAtAgain) {
  const RoomId room = create();
  Reclaimer reclaimer(*runtime_, *database_, *committer_);
  pass(reclaimer);
  pass(reclaimer);
  add_garbage((*engine_->source().head(room))->number);
  EXPECT_EQ(pass(reclaimer), 0u) << "nothing was made since";
  ASSERT_TRUE(set_membership(room, alice_, carol_, "invite").ok());
  EXPECT_EQ(pass(reclaimer), 0u);
  EXPECT_EQ(pass(reclaimer), 1u);
  EXPECT_NE(state(room, "m.room.member", carol_.str()), "");
}

TEST_F(ReclaimTest, DamageIsSaidAndErasesNothing) {
  const RoomId room = create();
  const RoomNumber number = (*engine_->source().head(room))->number;
  add_garbage(number);
  Reclaimer reclaimer(*runtime_, *database_, *committer_);
  pass(reclaimer);
  kv::Batch batch;
  const uint64_t row = (*engine_->source().head(room))->record.state.node / stores::kNodesPerRow;
  stores::put_state_row(batch, number, row, {});
  write(std::move(batch));
  EXPECT_EQ(run(reclaimer.pass()).error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace polder::rooms
