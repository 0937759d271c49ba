// The one way to content: what readers get of events that were redacted, and what the rules get.
#include "homeserver/rooms/engine/testing/engine.h"
#include "homeserver/rooms/read/federation_reader.h"
#include "homeserver/rooms/read/reader.h"

namespace polder::rooms {
namespace {

class VisibleContentTest : public RoomsTest {
 protected:
  EventId set(const RoomId& room, std::string type, json::Object content) {
    const auto sent = run(engine_->writer.send(
        room, {.sender = alice_, .type = std::move(type), .state_key = "", .content = content}));
    EXPECT_TRUE(sent.ok()) << sent.error().message;
    return sent->id;
  }
  void redact(const RoomId& room, const EventId& target) {
    json::Object content;
    content.set("redacts", target.str());
    EXPECT_TRUE(run(engine_->writer.send(room, {.sender = alice_,
                                                .type = "m.room.redaction",
                                                .content = std::move(content),
                                                .redacts = target}))
                    .ok());
  }
};

TEST_F(VisibleContentTest, ReadersGetRedactedEventsWithoutWhatRedactionTakes) {
  for (const char* version : {"1", "3", "10", "11", "12"}) {
    const RoomId room = create(version);
    const EventId topic = set(room, "m.room.topic", {{"topic", "SECRET"}});
    redact(room, topic);
    const RoomHeadPtr head = *engine_->source().head(room);
    const RoomReader reader(engine_->source(), head);
    const stores::StateRoot now = head->record.state;
    const auto event = *reader.state_event(now, "m.room.topic", "");
    EXPECT_EQ(event->id(), topic) << version;
    EXPECT_TRUE(event->content().empty());
    EXPECT_EQ(event->json().find("SECRET"), std::string::npos);
    const auto told = *reader.stripped_events(now);
    for (const events::EventPtr& stripped : told)
      EXPECT_EQ(stripped->json().find("SECRET"), std::string::npos);
    EXPECT_TRUE(reader
                    .for_each_state(now, std::nullopt,
                                    [](EventNumber, const HeldEvent& held) {
                                      EXPECT_EQ(held.event->json().find("SECRET"),
                                                std::string::npos);
                                    })
                    .ok());
    const EventNumber number = **reader.view().find(topic);
    EXPECT_TRUE(reader.view().load(number)->redaction.has_value());
    EXPECT_EQ(FederationReader(reader, other_).pdu(number)->find("SECRET"), std::string::npos);
    EXPECT_NE(reader.as_sent().load(number)->event->json().find("SECRET"), std::string::npos);
  }
}

// Before version 11 redaction takes the level that invites need, and the rules of the room go on.
TEST_F(VisibleContentTest, TheRulesGoByWhatWasSent) {
  const RoomId room = create("10");
  ASSERT_TRUE(set_membership(room, carol_, carol_, "join").ok());
  const UserId dave = UserId::trusted("@dave:own");
  redact(room, set(room, "m.room.power_levels",
                   {{"users", json::object({{alice_.str(), 100}})}, {"invite", 50}}));
  EXPECT_EQ(set_membership(room, carol_, dave, "invite").error().code, ErrorCode::kForbidden);
  const RoomReader reader(engine_->source(), *engine_->source().head(room));
  FederationReader federation(reader, own_);
  const auto invite = remote_event(room, {.sender = carol_,
                                          .type = "m.room.member",
                                          .state_key = dave.str(),
                                          .content = {{"membership", "invite"}}});
  EXPECT_EQ(federation.allows(*invite).error().code, ErrorCode::kForbidden);
}

}  // namespace
}  // namespace polder::rooms
