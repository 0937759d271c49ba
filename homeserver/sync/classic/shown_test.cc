// Events that were shown before, and are kept as they were: what has changed about them since.
#include "homeserver/sync/classic/testing/sync.h"

namespace polder::sync {
namespace {

class ShownTest : public SyncTest {
 protected:
  void SetUp() override {
    SyncTest::SetUp();
    room_ = create();
    message_ = say(room_, alice_, "first")->id;
  }
  // The event in a response from nothing.
  json::Object shown(const EventId& id) {
    const json::Object response = sync();
    for (const std::string_view part : {"timeline", "state"}) {
      const json::Value* events =
          json::at(response, {"rooms", "join", room_.view(), part, "events"});
      for (const json::Value& event : *events->as_array()) {
        if (*event.as_object()->find_string("event_id") == id.view()) return *event.as_object();
      }
    }
    ADD_FAILURE() << id << " is not shown";
    return {};
  }
  EventId send(rooms::LocalEvent event) {
    const auto sent = run(engine_->writer.send(room_, std::move(event)));
    EXPECT_TRUE(sent.ok());
    return sent->id;
  }

  RoomId room_;
  EventId message_;
};

TEST_F(ShownTest, ARedactedEventHasNoContentAnyMore) {
  EXPECT_TRUE(shown(message_).find_object("content")->contains("body"));
  const EventId redaction = send({.sender = alice_,
                                  .type = "m.room.redaction",
                                  .content = {{"redacts", message_.str()}},
                                  .redacts = message_});
  const json::Object event = shown(message_);
  EXPECT_TRUE(event.find_object("content")->empty());
  EXPECT_EQ(*event.find_object("unsigned")->find_string("redacted_by"), redaction.view());
  const json::Object& because = *event.find_object("unsigned")->find_object("redacted_because");
  EXPECT_EQ(*because.find_string("event_id"), redaction.view());
  EXPECT_EQ(*because.find_string("room_id"), room_.view());
}

TEST_F(ShownTest, WhatRelatesToAnEventComesWithIt) {
  EXPECT_EQ(json::at(shown(message_), {"unsigned", "m.relations"}), nullptr);
  send({.sender = alice_,
        .type = "m.room.message",
        .content = {{"body", "in the thread"},
                    {"m.relates_to",
                     json::object({{"rel_type", "m.thread"}, {"event_id", message_.str()}})}}});
  const json::Object event = shown(message_);
  const json::Value* count = json::at(event, {"unsigned", "m.relations", "m.thread", "count"});
  ASSERT_NE(count, nullptr);
  EXPECT_EQ(*count, json::Value(1));
}

TEST_F(ShownTest, StateSaysWhatItReplaced) {
  const EventId first = send({.sender = alice_,
                              .type = "m.room.topic",
                              .state_key = "",
                              .content = {{"topic", "a \"quoted\" one"}}});
  EXPECT_EQ(json::at(shown(first), {"unsigned", "replaces_state"}), nullptr);
  const EventId second = send({.sender = alice_,
                               .type = "m.room.topic",
                               .state_key = "",
                               .content = {{"topic", "another"}}});
  const json::Object event = shown(second);
  EXPECT_EQ(*json::at(event, {"unsigned", "replaces_state"}), json::Value(first.str()));
  EXPECT_EQ(*json::at(event, {"unsigned", "prev_sender"}), json::Value(alice_.str()));
  EXPECT_EQ(*json::at(event, {"unsigned", "prev_content", "topic"}),
            json::Value("a \"quoted\" one"));
}

}  // namespace
}  // namespace polder::sync
