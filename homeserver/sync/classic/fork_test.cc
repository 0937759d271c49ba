// State that a resolution decides otherwise than a timeline tells.
#include "homeserver/sync/classic/testing/sync.h"
#include "homeserver/sync/classic/tokens.h"

namespace polder::sync {
namespace {

class ForkTest : public SyncTest {
 protected:
  // Alice and carol are here, bob is of the other server; all may set the name, bob may say who.
  void SetUp() override {
    SyncTest::SetUp();
    room_ = create("11");
    receive(remote_membership(room_, bob_, "join"));
    ASSERT_TRUE(set_membership(room_, carol_, carol_, "join").ok());
    set(alice_, "m.room.power_levels", levels(50));
    set(alice_, "m.room.name", {{"name", "first"}});
  }
  json::Object levels(int64_t carol) const {
    return {
        {"state_default", 50},
        {"users", json::object({{alice_.str(), 100}, {bob_.str(), 100}, {carol_.str(), carol}})}};
  }
  void receive(const events::EventPtr& event) {
    const auto received = run(engine_->writer.receive(other_, event));
    ASSERT_TRUE(received.ok());
    ASSERT_EQ(received->verdict, rooms::Verdict::kAccepted);
  }
  void set(const UserId& sender, std::string type, json::Object content) {
    simulation_->run_for(Millis(5));
    ASSERT_TRUE(run(engine_->writer.send(room_, {.sender = sender,
                                                 .type = std::move(type),
                                                 .state_key = "",
                                                 .content = std::move(content)}))
                    .ok());
  }
  // Of bob, on what he sees now.
  events::EventPtr of_bob(std::string type, json::Object content) {
    simulation_->run_for(Millis(5));
    return remote_on_edge(
        room_,
        {.sender = bob_, .type = std::move(type), .state_key = "", .content = std::move(content)});
  }

  // What the names and levels in a list of alice's room are, in order.
  std::string told(const json::Object& response, std::string_view list) {
    const json::Object* room =
        response.find_object("rooms")->find_object("join")->find_object(room_.view());
    if (room == nullptr) return "nothing";
    std::string all;
    for (const json::Value& event : *room->find_object(list)->find_array("events")) {
      const json::Object& object = *event.as_object();
      const std::string& type = *object.find_string("type");
      if (type == "m.room.name") all += *object.find_object("content")->find_string("name") + ";";
      if (type == "m.room.power_levels") all += "levels;";
    }
    return all;
  }

  RoomId room_;
};

TEST_F(ForkTest, StateThatAResolutionBringsBackIsTold) {
  const events::EventPtr demotion = of_bob("m.room.power_levels", levels(0));
  set(carol_, "m.room.name", {{"name", "second"}});
  const std::string since = next(sync());
  receive(demotion);
  const json::Object response = sync(since);
  EXPECT_EQ(told(response, "timeline"), "levels;");
  EXPECT_EQ(told(response, "state"), "first;");
  EXPECT_EQ(told(sync(next(response)), "state"), "nothing");
}

TEST_F(ForkTest, WhatATimelineSaidOfStateThatDoesNotHoldIsToldBetterNext) {
  const std::string since = next(sync());
  const events::EventPtr demotion = of_bob("m.room.power_levels", levels(0));
  set(carol_, "m.room.name", {{"name", "second"}});
  receive(demotion);
  for (const std::string& from : {since, std::string()}) {
    const json::Object response = sync(from);
    EXPECT_TRUE(told(response, "timeline").ends_with("second;levels;"));
    const json::Object better = sync(next(response), Millis(30'000));
    EXPECT_EQ(told(better, "state"), "first;");
    EXPECT_EQ(told(better, "timeline"), "");
    EXPECT_EQ(told(sync(next(better)), "state"), "nothing");
  }
}

TEST_F(ForkTest, TheWinnerIsToldAfterALateEventThatLost) {
  const events::EventPtr late = of_bob("m.room.name", {{"name", "late"}});
  set(alice_, "m.room.name", {{"name", "winner"}});
  const std::string since = next(sync());
  receive(late);
  const json::Object response = sync(since);
  EXPECT_EQ(told(response, "timeline"), "late;");
  EXPECT_EQ(told(response, "state"), "");
  // Asked again, it is told again.
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(told(sync(next(response)), "state"), "winner;");
  // Something newer goes over it.
  set(alice_, "m.room.name", {{"name", "newest"}});
  EXPECT_EQ(told(sync(next(response)), "timeline"), "newest;");
  EXPECT_EQ(told(sync(next(response)), "state"), "");
}

TEST_F(ForkTest, TheWinnerIsToldHoweverMuchAFilterLeftOut) {
  const events::EventPtr late = of_bob("m.room.name", {{"name", "late"}});
  set(alice_, "m.room.name", {{"name", "winner"}});
  SyncRequest asked = request(next(sync()));
  Filter filter;
  filter.timeline.not_types = *TypePatterns::parse({"m.room.message"});
  asked.filter = std::make_shared<const Filter>(std::move(filter));
  receive(late);
  for (int i = 0; i < 30; ++i)
    ASSERT_TRUE(say(room_, carol_, "chatter").ok());
  for (const std::string_view expected : {"", "winner;"}) {
    const auto response = run(sync_->run(asked));
    ASSERT_TRUE(response.ok());
    const json::Object object = *json::parse_object(response->text);
    EXPECT_EQ(told(object, "state"), expected);
    asked.since = next(object);
  }
}

TEST_F(ForkTest, WithStateAfterNothingIsOwed) {
  const events::EventPtr late = of_bob("m.room.name", {{"name", "late"}});
  set(alice_, "m.room.name", {{"name", "winner"}});
  SyncRequest asked = request(next(sync()));
  asked.use_state_after = true;
  receive(late);
  const auto response = run(sync_->run(asked));
  ASSERT_TRUE(response.ok());
  const auto token = parse_stream_token(next(*json::parse_object(response->text)));
  ASSERT_TRUE(token);
  EXPECT_EQ(token->owed_from, 0u);
}

TEST_F(ForkTest, StateThatAFilterKeepsOutOfTheTimelineIsTold) {
  const std::string since = next(sync());
  ASSERT_TRUE(say(room_, carol_, "before").ok());
  set(carol_, "m.room.name", {{"name", "second"}});
  ASSERT_TRUE(say(room_, carol_, "after").ok());
  SyncRequest messages = request(since);
  Filter filter;
  filter.timeline.types = *TypePatterns::parse({"m.room.message"});
  messages.filter = std::make_shared<const Filter>(std::move(filter));
  const auto response = run(sync_->run(messages));
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(told(*json::parse_object(response->text), "state"), "second;");
}

}  // namespace
}  // namespace polder::sync
