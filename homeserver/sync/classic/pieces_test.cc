// Responses that are too large to be made at once.
#include "homeserver/sync/classic/testing/sync.h"

namespace polder::sync {
namespace {

constexpr size_t kRooms = 4;
constexpr size_t kMessages = 10;  // in each room
constexpr size_t kMessageBytes = 20'000;

class PiecesTest : public SyncTest {
 protected:
  void SetUp() override {
    SyncTest::SetUp();
    for (size_t i = 0; i < kRooms; ++i) {
      rooms_.push_back(create());
      for (size_t message = 0; message < kMessages; ++message)
        ASSERT_TRUE(say(rooms_.back(), alice_, std::string(kMessageBytes, 'x')).ok());
    }
  }
  size_t timeline_size(const json::Object& response, const RoomId& room) {
    return json::at(response, {"rooms", "join", room.view(), "timeline", "events"})
        ->as_array()
        ->size();
  }

  std::vector<RoomId> rooms_;
};

TEST_F(PiecesTest, AllPiecesTogetherAreTheResponse) {
  auto response = run(sync_->run(request("")));
  ASSERT_TRUE(response.ok());
  ASSERT_TRUE(response->more);
  EXPECT_LT(response->text.size(), kRooms * kMessages * kMessageBytes);
  const auto parsed = json::parse_object(whole(*response));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  for (const RoomId& room : rooms_)
    EXPECT_EQ(timeline_size(*parsed, room), kMessages);
}

// What happens while it is sent comes with the next response, once.
TEST_F(PiecesTest, ALaterPieceIsAsOfTheFirst) {
  auto response = run(sync_->run(request("")));
  ASSERT_TRUE(response.ok());
  for (const RoomId& room : rooms_)
    ASSERT_TRUE(say(room, alice_, "later").ok());
  const std::string text = whole(*response);
  EXPECT_EQ(text.find("later"), std::string::npos);
  const json::Object first = *json::parse_object(text);
  const json::Object second = sync(next(first));
  for (const RoomId& room : rooms_) {
    EXPECT_EQ(timeline_size(first, room), kMessages);
    EXPECT_EQ(timeline_size(second, room), 1u);
  }
}

TEST_F(PiecesTest, ASmallResponseIsWhole) {
  const std::string since = next(sync());
  ASSERT_TRUE(say(rooms_[0], alice_, "small").ok());
  const auto response = run(sync_->run(request(since)));
  ASSERT_TRUE(response.ok());
  EXPECT_FALSE(response->more);
}

}  // namespace
}  // namespace polder::sync
