#include <gtest/gtest.h>

#include "homeserver/rooms/engine/testing/engine.h"
#include "storage/stores/users/user_rows.h"

namespace polder::rooms {
namespace {

using SendTest = RoomsTest;

TEST_F(SendTest, ARefusedRoomLeavesNothingInMemory) {
  const size_t before = engine_->rooms.rooms_in_memory(0);
  for (const char* version : {"1", "11", "12"}) {
    const auto& rules = *events::find_room_version(version);
    auto events = new_room(version, "public");
    events[0].content.set("additional_creators", json::Array(1, "x"));
    if (rules.privileged_creators)
      EXPECT_EQ(run(engine_->writer.create(rules, events)).error().code, ErrorCode::kInvalid);
    events = new_room(version, "public");
    // Refused by the rules, after three events were staged.
    events.push_back({.sender = carol_, .type = "m.room.message"});
    EXPECT_FALSE(run(engine_->writer.create(rules, events)).ok()) << version;
    EXPECT_EQ(engine_->rooms.rooms_in_memory(0), before) << version;
  }
}

TEST_F(SendTest, WhoIsNotInARoomIsToldTheSameWhetherItExistsOrNot) {
  const RoomId room = create("12", "invite");
  const RoomId nowhere = RoomId::trusted("!nowhere");
  const std::vector<LocalEvent> events = {
      {.sender = carol_, .type = "m.room.message"},
      {.sender = carol_, .type = "m.room.topic", .state_key = ""},
      {.sender = carol_, .type = "m.room.redaction", .redacts = EventId::trusted("$x")},
      {.sender = carol_,
       .type = "m.room.member",
       .state_key = alice_.str(),
       .content = {{"membership", "leave"}}},
  };
  for (const LocalEvent& event : events) {
    const Error here = run(engine_->writer.send(room, event)).error();
    const Error there = run(engine_->writer.send(nowhere, event)).error();
    EXPECT_EQ(here.code, ErrorCode::kForbidden);
    EXPECT_EQ(there.code, ErrorCode::kForbidden);
    EXPECT_EQ(here.message, there.message);
  }
}

TEST_F(SendTest, ARepeatedRequestIsAnsweredAlsoByWhoHasLeft) {
  const RoomId room = create();
  ASSERT_TRUE(set_membership(room, carol_, carol_, "join").ok());
  const LocalEvent event{.sender = carol_,
                         .type = "m.room.message",
                         .transaction = Transaction{7, DeviceId::trusted("D"), "send", "t"}};
  const auto sent = run(engine_->writer.send(room, event));
  ASSERT_TRUE(sent.ok());
  ASSERT_TRUE(set_membership(room, carol_, carol_, "leave").ok());
  const auto again = run(engine_->writer.send(room, event));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->id, sent->id);
}

// By a program whose rows named the verb and the room only.
TEST_F(SendTest, ARequestThatAnOlderProgramAnsweredIsNotSentAgain) {
  const RoomId room = create();
  const auto sent = say(room, alice_, "once");
  ASSERT_TRUE(sent.ok());
  const DeviceId device = DeviceId::trusted("D");
  kv::Batch batch;
  stores::put_transaction(batch, 7, device, "send|" + room.str(), "t", sent->id.view());
  ASSERT_TRUE(run(committer_->commit(std::move(batch))).ok());
  const auto repeat = [&](std::string type) {
    std::string path = "send|" + std::to_string(type.size()) + "|" + type + "|" + room.str();
    return run(
        engine_->writer.send(room, {.sender = alice_,
                                    .type = std::move(type),
                                    .content = {{"body", "once"}},
                                    .transaction = Transaction{7, device, std::move(path), "t"}}));
  };
  const auto again = repeat("m.room.message");
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->id, sent->id);
  const auto other = repeat("org.example.other");
  ASSERT_TRUE(other.ok()) << other.error().message;
  EXPECT_NE(other->id, sent->id);
}

}  // namespace
}  // namespace polder::rooms
