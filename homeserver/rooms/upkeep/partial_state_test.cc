// Rooms whose state is known in part.
#include "homeserver/rooms/engine/testing/other_room.h"

namespace polder::rooms {
namespace {

class PartialStateTest : public EnteringTest {
 protected:
  PartialStateTest() { keys_.add(third_, third_key_); }

  events::EventPtr by_third(std::string type, std::optional<std::string> state_key,
                            json::Object content, std::vector<EventId> prev_events, int64_t depth) {
    json::Object pdu = build(dora_, std::move(type), std::move(state_key), std::move(content),
                             std::move(prev_events), depth)
                           ->object();
    pdu.erase("signatures");
    events::hash_and_sign(pdu, *rules_, third_, third_key_);
    return *events::Event::parse(std::move(pdu), *rules_);
  }
  // Enters without what dora did; the other server could tell of it.
  void enter_in_part(const char* version) {
    make_room(version);
    doras_ = by_third("m.room.member", dora_.str(), {{"membership", "join"}},
                      {history_.back()->id()}, 5);
    history_.push_back(doras_);
    finish_entering();
  }
  void finish_entering() {
    const auto join = join_of_alice();
    RemoteStateIds before;
    ImportedState part;
    part.partial.emplace();
    part.partial->since_ms = runtime_->clock().wall_ms();
    part.partial->servers = {other_, third_};
    for (const events::EventPtr& event : history_) {
      before.state.push_back(event->id());
      remote_.events[event->id()] = event->json();
      if (event != doras_) part.state.push_back(event);
    }
    remote_.states[join->id()] = before;
    keys_.unreachable.insert(third_);
    const auto entered = run(engine_->writer.enter(*rules_, std::move(part), join));
    ASSERT_TRUE(entered.ok()) << entered.error().message;
    join_ = join;
  }
  // dora is banned, and neither the ban nor that she was in the room is known here.
  void enter_without_ban(const char* version) {
    make_room(version);
    const auto dora = by_third("m.room.member", dora_.str(), {{"membership", "join"}},
                               {history_.back()->id()}, 5);
    history_.push_back(dora);
    doras_ = build(bob_, "m.room.member", dora_.str(), {{"membership", "ban"}}, {dora->id()}, 6);
    history_.pop_back();
    history_.push_back(doras_);
    finish_entering();
    remote_.events[dora->id()] = dora->json();
    // Also that of the ban, which bob's server has signed.
    keys_.unreachable = {other_};
    history_.back() = dora;
  }
  events::EventPtr says_dora(std::string body, EventId on, int64_t depth) {
    const auto said = by_third("m.room.message", std::nullopt, {{"body", std::move(body)}},
                               {std::move(on)}, depth);
    const auto received = run(engine_->writer.receive(third_, said));
    EXPECT_TRUE(received.ok() && received->verdict == Verdict::kAccepted);
    return said;
  }
  bool is_partial() { return (*engine_->source().head(room_))->record.partial; }
  void complete() {
    keys_.unreachable.clear();
    EXPECT_TRUE(simulation_->run_until([this] { return !is_partial(); }, Millis(600'000)));
  }

  const ServerName third_ = ServerName::trusted("third");
  const UserId dora_ = UserId::trusted("@dora:third");
  const crypto::SigningKey third_key_ = make_key('3');
  events::EventPtr doras_;
  events::EventPtr join_;
};

TEST_F(PartialStateTest, TheRoomIsUsedMeanwhileAndTheRestComesLater) {
  for (const char* version : {"6", "11", "12"}) {
    enter_in_part(version);
    EXPECT_TRUE(is_partial()) << version;
    EXPECT_TRUE(say(room_, alice_, "hello").ok());
    const auto topic = build(bob_, "m.room.name", "", {{"name", "n"}}, {join_->id()}, 7);
    EXPECT_EQ(run(engine_->writer.receive(other_, topic))->verdict, Verdict::kAccepted);
    EXPECT_EQ(state(room_, "m.room.member", dora_.view()), "") << version;
    EXPECT_EQ((*engine_->source().head(room_))->record.joined, 2u);
    expect_consistent();
    complete();
    EXPECT_EQ(state(room_, "m.room.member", dora_.view()), doras_->id().str()) << version;
    EXPECT_EQ(state(room_, "m.room.name", ""), topic->id().str()) << version;
    EXPECT_EQ((*engine_->source().head(room_))->record.joined, 3u);
    EXPECT_TRUE(say(room_, alice_, "hello").ok());
    expect_consistent();
  }
}

TEST_F(PartialStateTest, WhatIsNotKnownIsTakenFromTheAuthEvents) {
  enter_in_part("11");
  keys_.unreachable.clear();
  const auto said = by_third("m.room.message", std::nullopt, {{"body", "hello"}}, {join_->id()}, 7);
  const auto received = run(engine_->writer.receive(third_, said));
  ASSERT_TRUE(received.ok()) << received.error().message;
  EXPECT_EQ(received->verdict, Verdict::kAccepted) << received->refusal;
  const size_t timeline = timeline_size(room_);
  complete();
  EXPECT_EQ(timeline_size(room_), timeline);
  expect_consistent();
}

// She names the auth events that suit her: the ban is not known here yet.
TEST_F(PartialStateTest, WhatTheWholeRefusesIsTakenBack) {
  for (const char* version : {"6", "12"}) {
    enter_without_ban(version);
    const auto note = says_dora("x", join_->id(), 8);
    const auto sent = say(room_, alice_, "on top of it");
    ASSERT_TRUE(sent.ok());
    says_dora("y", note->id(), 9);
    const size_t timeline = timeline_size(room_);
    EXPECT_EQ(edge(), 2u);
    complete();
    EXPECT_EQ(state(room_, "m.room.member", dora_.view()), doras_->id().str()) << version;
    EXPECT_EQ(timeline_size(room_), timeline - 2) << version;
    EXPECT_EQ(edge(), 1u) << version;
    EXPECT_TRUE(say(room_, alice_, "hello").ok());
    expect_consistent();
  }
}

TEST_F(PartialStateTest, WhatIsBelowAllThatIsTakenBackIsTheEdgeAgain) {
  enter_without_ban("12");
  const auto note = says_dora("x", join_->id(), 8);
  says_dora("y", note->id(), 9);
  complete();
  EXPECT_EQ(edge(), 1u);
  EXPECT_TRUE(say(room_, alice_, "hello").ok());
  expect_consistent();
}

// Who is asked for the rest has less than what is here, and nothing that would let alice join.
TEST_F(PartialStateTest, WhatWasToldFirstStays) {
  for (const char* version : {"6", "12"}) {
    enter_in_part(version);
    const std::string rules = state(room_, "m.room.join_rules", "");
    remote_.states[join_->id()].state = {history_[0]->id(), history_[1]->id(), doras_->id()};
    complete();
    EXPECT_EQ(state(room_, "m.room.member", dora_.view()), doras_->id().str()) << version;
    EXPECT_EQ(state(room_, "m.room.member", alice_.view()), join_->id().str()) << version;
    EXPECT_EQ(state(room_, "m.room.join_rules", ""), rules) << version;
    EXPECT_TRUE(say(room_, alice_, "hello").ok());
    expect_consistent();
  }
}

// Who is asked knows of a ban of alice that the server by which she entered does not know of.
TEST_F(PartialStateTest, TheEventByWhichThisServerEnteredIsNotTakenBack) {
  enter_in_part("12");
  const auto ban = build(bob_, "m.room.member", alice_.str(), {{"membership", "ban"}},
                         {history_.back()->id()}, 6);
  remote_.events[ban->id()] = ban->json();
  remote_.states[join_->id()].state.push_back(ban->id());
  complete();
  EXPECT_EQ(state(room_, "m.room.member", alice_.view()), join_->id().str());
  EXPECT_EQ(edge(), 1u);
  EXPECT_TRUE(say(room_, alice_, "hello").ok());
  expect_consistent();
}

TEST_F(PartialStateTest, ItGoesOnAfterARestart) {
  enter_in_part("12");
  ASSERT_TRUE(say(room_, alice_, "hello").ok());
  crash();
  ASSERT_TRUE(engine_->upkeep.start().ok());
  EXPECT_TRUE(is_partial());
  expect_consistent();
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(say(room_, alice_, "hello").ok());
  complete();
  EXPECT_EQ(state(room_, "m.room.member", dora_.view()), doras_->id().str());
  crash();
  EXPECT_FALSE(is_partial());
  expect_consistent();
}

TEST_F(PartialStateTest, WhoseKeysAreNotToBeHadForAnHourIsLeftOut) {
  enter_in_part("12");
  EXPECT_FALSE(simulation_->run_until([this] { return !is_partial(); }, Millis(50 * 60'000)));
  EXPECT_TRUE(simulation_->run_until([this] { return !is_partial(); }, Millis(20 * 60'000)));
  EXPECT_EQ(state(room_, "m.room.member", dora_.view()), "");
  expect_consistent();
}

}  // namespace
}  // namespace polder::rooms
