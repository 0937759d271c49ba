#include "homeserver/rooms/model/kept_events.h"

#include "homeserver/rooms/engine/testing/engine.h"

namespace polder::rooms {
namespace {

class KeptEventsTest : public RoomsTest {
 protected:
  KeptEventsTest()
      : id_(create()),
        state_(remote_membership(id_, bob_, "join")),
        message_(remote_on_edge(id_, {.sender = bob_,
                                      .type = "m.room.message",
                                      .content = {{"body", "x"}, {"msgtype", "m.text"}}})) {}

  const RoomId id_;
  const events::EventPtr state_, message_;
  KeptEvents kept_;
};

TEST_F(KeptEventsTest, AreFoundByNumberAndId) {
  stores::EventRecord record;
  record.depth = 3;
  kept_.keep(7, {state_, record});
  ASSERT_NE(kept_.find(7), nullptr);
  EXPECT_EQ(kept_.find(state_->id()), 7u);
  EXPECT_EQ(kept_.find(8), nullptr);
  EXPECT_EQ(kept_.find(message_->id()), std::nullopt);
  record.depth = 4;
  kept_.keep(7, {state_, record});
  EXPECT_EQ(kept_.find(7)->record.depth, 4) << "as it was written last";
  kept_.clear();
  EXPECT_EQ(kept_.find(7), nullptr);
  EXPECT_EQ(kept_.find(state_->id()), std::nullopt);
}

TEST_F(KeptEventsTest, AreTheEdgeAndAFewOfTheState) {
  kept_.keep(1, {state_, {}});
  kept_.keep(2, {message_, {}});
  kept_.keep(3, {message_, {}});
  kept_.trim({3});
  EXPECT_NE(kept_.find(1), nullptr);
  EXPECT_EQ(kept_.find(2), nullptr);
  EXPECT_NE(kept_.find(3), nullptr);
  for (EventNumber number = 10; number < 40; ++number)
    kept_.keep(number, {state_, {}});
  kept_.trim({3, 12});
  EXPECT_EQ(kept_.find(1), nullptr);
  EXPECT_NE(kept_.find(3), nullptr);
  EXPECT_NE(kept_.find(12), nullptr);
  EXPECT_EQ(kept_.find(13), nullptr);
}

}  // namespace
}  // namespace polder::rooms
