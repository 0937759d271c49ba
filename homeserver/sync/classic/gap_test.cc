// Timelines of rooms in which something is missing here.
#include "homeserver/sync/classic/testing/sync.h"
#include "homeserver/sync/classic/tokens.h"

namespace polder::sync {
namespace {

class GapTest : public SyncTest {
 protected:
  // Bob is in a room of alice's; then his server sends an event that is not on top of hers, and of
  // what lies between, in which the name was set, only gives the state.
  void SetUp() override {
    SyncTest::SetUp();
    room_ = create("11");
    ASSERT_TRUE(accepted(remote_membership(room_, bob_, "join")));
    ASSERT_TRUE(run(engine_->writer.send(room_, {.sender = alice_,
                                                 .type = "m.room.power_levels",
                                                 .state_key = "",
                                                 .content = {{"state_default", 0}}}))
                    .ok());
  }
  bool accepted(const events::EventPtr& event) {
    const auto received = run(engine_->writer.receive(other_, event));
    return received.ok() && received->verdict == rooms::Verdict::kAccepted;
  }
  // Of somebody who is left out the state says nothing, nor is it resolved with what is here.
  void leave_gap(const std::optional<UserId>& left_out = {}) {
    const auto name = remote_on_edge(
        room_,
        {.sender = bob_, .type = "m.room.name", .state_key = "", .content = {{"name", "N"}}});
    events::EventDraft draft;
    draft.sender = bob_;
    draft.type = "m.room.message";
    draft.content.set("body", "after");
    if (left_out) draft.prev_events = name->prev_events();
    draft.prev_events.push_back(EventId::trusted("$" + std::string(43, 'x')));
    draft.auth_events = name->auth_events();
    draft.depth = name->depth() + 30;
    draft.origin_server_ts = 1;
    const auto after = remote_event(room_, draft);
    rooms::RemoteStateIds ids;
    const rooms::RoomReader reader(engine_->source(), *engine_->source().head(room_));
    ASSERT_TRUE(reader
                    .for_each_state(reader.head().record.state, std::nullopt,
                                    [&](rooms::EventNumber, const rooms::HeldEvent& held) {
                                      if (left_out && held.event->state_key() == left_out->view())
                                        return;
                                      ids.state.push_back(held.event->id());
                                    })
                    .ok());
    ids.state.push_back(name->id());
    remote_.states.emplace(after->id(), ids);
    remote_.events.emplace(name->id(), name->json());
    ASSERT_TRUE(accepted(after));
  }
  // The section of the room that alice is in.
  json::Object joined(const json::Object& response) {
    return *response.find_object("rooms")->find_object("join")->find_object(room_.view());
  }
  static std::string what(const json::Object& room, std::string_view list) {
    std::string all;
    for (const json::Value& event : *room.find_object(list)->find_array("events")) {
      const json::Object& object = *event.as_object();
      const std::string* body = object.find_object("content")->find_string("body");
      all += (body != nullptr ? *body : *object.find_string("type")) + ";";
    }
    return all;
  }
  static bool limited(const json::Object& room) {
    return *room.find_object("timeline")->find_bool("limited");
  }

  RoomId room_;
};

TEST_F(GapTest, ATimelineBeginsAfterTheGapWithTheStateOfThen) {
  const std::string since = next(sync());
  ASSERT_TRUE(say(room_, alice_, "before").ok());
  leave_gap();
  ASSERT_TRUE(say(room_, alice_, "later").ok());
  for (const std::string& token : {since, std::string()}) {
    const json::Object room = joined(sync(token));
    EXPECT_EQ(what(room, "timeline"), "after;later;") << token;
    EXPECT_TRUE(limited(room));
    EXPECT_NE(what(room, "state").find("m.room.name"), std::string::npos);
  }
  EXPECT_EQ(what(joined(sync(since)), "state"), "m.room.name;");
  // A gap that the client was told of is not told again.
  const std::string told = next(sync(since));
  ASSERT_TRUE(say(room_, alice_, "news").ok());
  const json::Object room = joined(sync(told));
  EXPECT_EQ(what(room, "timeline"), "news;");
  EXPECT_FALSE(limited(room));
}

TEST_F(GapTest, AFilterHidesNoGap) {
  const std::string since = next(sync());
  ASSERT_TRUE(say(room_, alice_, "before").ok());
  leave_gap();
  ASSERT_TRUE(say(room_, alice_, "later").ok());
  SyncRequest only_alice = request(since);
  Filter filter;
  filter.timeline.senders.emplace({alice_.str()});
  only_alice.filter = std::make_shared<const Filter>(std::move(filter));
  const auto response = run(sync_->run(only_alice));
  ASSERT_TRUE(response.ok());
  const json::Object room = joined(*json::parse_object(response->text));
  EXPECT_EQ(what(room, "timeline"), "later;");
  EXPECT_TRUE(limited(room));
  EXPECT_EQ(what(room, "state"), "m.room.name;");
}

// What is missing lies deeper than all that was here when it was sent.
TEST_F(GapTest, PagingBackBeginsAtTheGap) {
  leave_gap();
  const json::Object room = joined(sync());
  const std::string token = *room.find_object("timeline")->find_string("prev_batch");
  const rooms::RoomReader reader(engine_->source(), *engine_->source().head(room_));
  const auto back = history_position(reader, token, Direction::kBackwards);
  const auto forth = history_position(reader, token, Direction::kForwards);
  ASSERT_TRUE(back.ok() && forth.ok());
  EXPECT_EQ(back->told_from, forth->told_from);
  EXPECT_GT(back->place.depth, forth->place.depth + 20);
}

TEST_F(GapTest, ARoomThatWasEnteredSinceDoesNotGoOnFromAnOlderTimeline) {
  ASSERT_TRUE(set_membership(room_, carol_, carol_, "join").ok());
  const std::string since = next(sync());
  ASSERT_TRUE(set_membership(room_, alice_, alice_, "leave").ok());
  const std::string left = next(sync(since));
  ASSERT_TRUE(set_membership(room_, alice_, alice_, "join").ok());
  EXPECT_TRUE(limited(joined(sync(left))));
  EXPECT_FALSE(limited(joined(sync())));
}

TEST_F(GapTest, WhoIsNotInTheStateAnyMoreLearnsThatTheyAreOut) {
  ASSERT_TRUE(set_membership(room_, carol_, carol_, "join").ok());
  const std::string since = next(sync());
  leave_gap(alice_);
  ASSERT_EQ(state(room_, "m.room.member", alice_.view()), "");
  const json::Object response = sync(since);
  const json::Object& rooms = *response.find_object("rooms");
  EXPECT_EQ(rooms.find_object("join")->find(room_.view()), nullptr);
  const json::Object* left = rooms.find_object("leave")->find_object(room_.view());
  ASSERT_NE(left, nullptr);
  EXPECT_EQ(what(*left, "timeline"), "");
  EXPECT_TRUE(run(engine_->writer.forget(room_, alice_)).ok());
  ASSERT_TRUE(set_membership(room_, alice_, alice_, "join").ok());
  EXPECT_TRUE(limited(joined(sync(next(response)))));
}

}  // namespace
}  // namespace polder::sync
