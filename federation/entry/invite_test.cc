// Users of another server are invited.
#include "federation/entry/testing/entry.h"

namespace polder::entry {
namespace {

using rooms::RoomReader;

TEST_F(EntryTest, AnInviteIsStoredWithTheInvitedServersSignature) {
  for (const char* version : {"10", "11", "12"}) {
    servers_->calls.clear();
    const RoomId room = create(version);
    const Status invited = run(entry_->invite({alice_, room, {{"reason", "come"}}}, bob_));
    ASSERT_TRUE(invited.ok()) << invited.error().message;
    EXPECT_EQ(membership(*engine_, room, bob_), "invite");
    const RoomReader reader(engine_->source(), *engine_->source().head(room));
    const auto event =
        *reader.state_event(reader.head().record.state, "m.room.member", bob_.view());
    EXPECT_EQ(events::signatures_of(event->object()).size(), 2u);
    EXPECT_EQ(*event->content().find_string("reason"), "come");
    // MSC4311: the state of an invite is of whole events, the create event among them.
    const auto body = *json::parse_object(*servers_->calls.at(0).body);
    EXPECT_EQ(*body.find_string("room_version"), version);
    const auto create = events::Event::parse(
        *body.find_array("invite_room_state")->front().as_object(), event->rules());
    ASSERT_TRUE(create.ok());
    EXPECT_TRUE((*create)->is_state("m.room.create", ""));
    EXPECT_EQ((*create)->room_id(), room);
  }
  expect_sound();
}

TEST_F(EntryTest, AnInviteThatComesBackOtherwiseIsNotStored) {
  const RoomId room = create();
  const auto event_of = [](json::Object& answer) -> json::Object& {
    return *answer.find("event")->as_object();
  };
  const std::vector<std::function<void(json::Object&)>> changes = {
      [&](json::Object& a) { event_of(a).set("content", json::object({{"membership", "ban"}})); },
      [&](json::Object& a) { event_of(a).set("depth", 1); },
      [&](json::Object& a) { event_of(a).set("signatures", json::Object()); },
      [&](json::Object& a) {
        event_of(a)
            .find("signatures")
            ->as_object()
            ->set(other_.str(), *event_of(a).find_object("signatures")->find(own_.view()));
      },
      [&](json::Object& a) { a.erase("event"); },
  };
  for (const auto& change : changes) {
    servers_->change = [&](std::string_view, json::Object& answer) { change(answer); };
    EXPECT_FALSE(run(entry_->invite({alice_, room}, bob_)).ok());
  }
  servers_->refusal = ErrorCode::kForbidden;
  EXPECT_EQ(run(entry_->invite({alice_, room}, bob_)).error().code, ErrorCode::kForbidden);
  EXPECT_EQ(timeline_size(room), 4u);
  EXPECT_EQ(run(entry_->invite({carol_, room}, bob_)).error().code, ErrorCode::kForbidden);
}

TEST_F(EntryTest, LocalUsersAreInvitedWithoutOthers) {
  const RoomId room = create();
  ASSERT_TRUE(run(entry_->invite({alice_, room}, carol_)).ok());
  EXPECT_EQ(membership(*engine_, room, carol_), "invite");
  EXPECT_TRUE(servers_->calls.empty());
  ASSERT_TRUE(run(entry_->leave({carol_, room})).ok());
  EXPECT_EQ(membership(*engine_, room, carol_), "leave");
}

}  // namespace
}  // namespace polder::entry
