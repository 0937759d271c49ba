#include "homeserver/rooms/read/restricted.h"

#include "homeserver/rooms/engine/testing/engine.h"

namespace polder::rooms {
namespace {

class RestrictedTest : public RoomsTest {
 protected:
  RoomId restricted_to(const RoomId& allowed) {
    auto events = new_room("11", "invite");
    const json::Object condition{{"type", "m.room_membership"}, {"room_id", allowed.str()}};
    events.back().content = {{"join_rule", "restricted"}, {"allow", json::Array(1, condition)}};
    return *run(engine_->writer.create(*events::find_room_version("11"), std::move(events)));
  }
};

// Reading the one room, the other may change: what its new head names is newer than the snapshot.
TEST_F(RestrictedTest, TheRoomThatIsNamedIsReadAsItIsNow) {
  const RoomId allowed = create("11");
  const RoomId room = restricted_to(allowed);
  const RoomReader reader(engine_->source(), *engine_->source().head(room));
  const auto before = restricted_join(engine_->source(), reader, carol_);
  ASSERT_TRUE(before.ok());
  EXPECT_EQ(before->join, RestrictedJoin::kRefused);
  ASSERT_TRUE(set_membership(allowed, carol_, carol_, "join").ok());
  const auto after = restricted_join(engine_->source(), reader, carol_);
  ASSERT_TRUE(after.ok()) << after.error().message;
  EXPECT_EQ(after->join, RestrictedJoin::kGranted);
  EXPECT_EQ(after->authoriser, alice_);
}

}  // namespace
}  // namespace polder::rooms
