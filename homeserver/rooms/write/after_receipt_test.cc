// What comes of forks, of soft-failed events that others build on, and of ids that are given twice.
#include "homeserver/rooms/engine/testing/engine.h"
#include "homeserver/rooms/write/extremities.h"
#include "storage/stores/check/check.h"

namespace polder::rooms {
namespace {

class UpkeepTest : public RoomsTest {
 protected:
  // bob is in a room of alice; everything else builds on his join.
  RoomId room_with_bob(std::string_view version) {
    const RoomId room = create(version);
    const auto join = remote_membership(room, bob_, "join");
    EXPECT_EQ(run(engine_->writer.receive(other_, join))->verdict, Verdict::kAccepted);
    base_ = join;
    return room;
  }
  events::EventPtr by_bob(const RoomId& room, std::string body, std::vector<EventId> prev_events,
                          int64_t depth) {
    events::EventDraft draft;
    draft.sender = bob_;
    draft.type = "m.room.message";
    draft.content = {{"body", std::move(body)}};
    for (const char* type : {"m.room.create", "m.room.power_levels"}) {
      const bool named =
          type != std::string_view("m.room.create") || !base_->rules().room_id_is_create_hash;
      if (named) draft.auth_events.push_back(EventId::trusted(state(room, type, "")));
    }
    draft.auth_events.push_back(base_->id());
    draft.prev_events = std::move(prev_events);
    draft.depth = depth;
    return remote_event(room, std::move(draft));
  }
  std::vector<EventNumber> edge(const RoomId& room) {
    return (*engine_->source().head(room))->record.extremities;
  }
  EventNumber number_of(const EventId& id) {
    return (*stores::find_event(*database_->snapshot(), id))->number;
  }
  stores::Standing standing(const RoomId& room, const EventId& id) {
    const auto number = (*engine_->source().head(room))->number;
    return (*stores::read_event_record(*database_->snapshot(), {number, number_of(id)}))->standing;
  }
  void expect_consistent() {
    EXPECT_EQ(stores::check_database(*database_->snapshot())->faults, std::vector<std::string>{});
  }

  events::EventPtr base_;
};

TEST_F(UpkeepTest, ManyForksAreJoinedByAnEventOfALocalUser) {
  const RoomId room = room_with_bob("12");
  for (size_t i = 0; i < kJoinedExtremities; ++i) {
    const auto fork = by_bob(room, std::to_string(i), {base_->id()}, base_->depth() + 1);
    ASSERT_EQ(run(engine_->writer.receive(other_, fork))->verdict, Verdict::kAccepted);
  }
  EXPECT_TRUE(simulation_->run_until([&] { return edge(room).size() == 1; }, Millis(10'000)));
  expect_consistent();
}

TEST_F(UpkeepTest, AFloodOfForksIsPruned) {
  const RoomId room = room_with_bob("11");
  for (size_t i = 0; i < 3 * kExtremitiesKept; ++i) {
    const auto fork = by_bob(room, std::to_string(i), {base_->id()}, base_->depth() + 1);
    ASSERT_EQ(run(engine_->writer.receive(other_, fork))->verdict, Verdict::kAccepted);
    EXPECT_LE(edge(room).size(), kExtremitiesKept);
  }
  expect_consistent();
}

TEST_F(UpkeepTest, OwnEventsAndTheNewestStayOnTheEdge) {
  const RoomId room = room_with_bob("12");
  const RoomHeadPtr head = *engine_->source().head(room);
  std::vector<EventNumber> extremities;
  ASSERT_TRUE(say(room, alice_, "own").ok());
  const EventNumber own = edge(room).at(0);
  extremities.push_back(own);
  for (size_t i = 0; i < kExtremitiesKept; ++i) {
    const auto fork = by_bob(room, std::to_string(i), {base_->id()}, base_->depth() + 1);
    ASSERT_EQ(run(engine_->writer.receive(other_, fork))->verdict, Verdict::kAccepted);
    extremities.push_back(number_of(fork->id()));
  }
  const RoomContent content(head->number, head->rules);
  const auto snapshot = database_->snapshot();
  const RoomView view(content, *snapshot, *names_, engine_->source().caches);
  const auto chosen = extremities_to_build_on(view, own_, extremities);
  ASSERT_TRUE(chosen.ok());
  EXPECT_EQ(chosen->size(), events::kMaxPrevEvents);
  EXPECT_EQ(chosen->front(), own);
  EXPECT_EQ(std::ranges::find(*chosen, extremities[1]), chosen->end()) << "the oldest of bob's";
  const EventNumber newest = extremities.back();
  ASSERT_TRUE(prune_extremities(view, own_, extremities).ok());
  EXPECT_EQ(extremities.size(), kExtremitiesKept);
  EXPECT_EQ(extremities.front(), own);
  EXPECT_EQ(extremities.back(), newest);
}

// bob spoke while alice banned him: his server did not know. Then she takes the ban back, and
// somebody builds on what he said.
TEST_F(UpkeepTest, ASoftFailedEventIsShownOnceTheRoomAllowsWhatBuildsOnIt) {
  for (const char* version : {"11", "12"}) {
    const RoomId room = room_with_bob(version);
    const UserId dan = UserId::trusted("@dan:" + other_.str());
    const auto neighbour = remote_membership(room, dan, "join");
    ASSERT_EQ(run(engine_->writer.receive(other_, neighbour))->verdict, Verdict::kAccepted);
    ASSERT_TRUE(set_membership(room, alice_, bob_, "ban").ok());
    const auto said = by_bob(room, "hello", {base_->id()}, base_->depth() + 1);
    ASSERT_EQ(run(engine_->writer.receive(other_, said))->verdict, Verdict::kSoftFailed);
    const size_t timeline = timeline_size(room);
    const auto on_top = by_bob(room, "on top", {said->id()}, base_->depth() + 2);
    ASSERT_EQ(run(engine_->writer.receive(other_, on_top))->verdict, Verdict::kSoftFailed);
    EXPECT_EQ(timeline_size(room), timeline) << "still refused";
    ASSERT_TRUE(set_membership(room, alice_, bob_, "leave").ok());
    const auto back = remote_membership(room, bob_, "join");
    ASSERT_EQ(run(engine_->writer.receive(other_, back))->verdict, Verdict::kAccepted);
    base_ = back;
    const auto merge = by_bob(room, "merge", {on_top->id(), back->id()}, back->depth() + 1);
    const auto received = run(engine_->writer.receive(other_, merge));
    ASSERT_EQ(received->verdict, Verdict::kAccepted) << received->refusal;
    EXPECT_FALSE(standing(room, said->id()).soft_failed) << version;
    EXPECT_FALSE(standing(room, on_top->id()).soft_failed) << version;
    EXPECT_EQ(timeline_size(room), timeline + 5) << "leave, join, merge and the two of before";
    crash();
    EXPECT_FALSE(standing(room, said->id()).soft_failed);
    EXPECT_TRUE(say(room, alice_, "hello").ok());
    expect_consistent();
  }
}

// The same of a state event, which stays in memory with the room from when it was refused.
TEST_F(UpkeepTest, ASoftFailedStateEventHasOnePlaceOnceItIsAccepted) {
  const RoomId room = room_with_bob("11");
  const UserId dan = UserId::trusted("@dan:" + other_.str());
  const auto neighbour = remote_membership(room, dan, "join");
  ASSERT_EQ(run(engine_->writer.receive(other_, neighbour))->verdict, Verdict::kAccepted);
  ASSERT_TRUE(set_membership(room, alice_, bob_, "ban").ok());
  events::EventDraft renamed;
  renamed.sender = bob_;
  renamed.type = "m.room.member";
  renamed.state_key = bob_.str();
  renamed.content = {{"membership", "join"}, {"displayname", "Robert"}};
  for (const char* type : {"m.room.create", "m.room.power_levels", "m.room.join_rules"})
    renamed.auth_events.push_back(EventId::trusted(state(room, type, "")));
  renamed.auth_events.push_back(base_->id());
  renamed.prev_events = {base_->id()};
  renamed.depth = base_->depth() + 1;
  const auto said = remote_event(room, std::move(renamed));
  ASSERT_EQ(run(engine_->writer.receive(other_, said))->verdict, Verdict::kSoftFailed);
  ASSERT_TRUE(set_membership(room, alice_, bob_, "leave").ok());
  const auto back = remote_membership(room, bob_, "join");
  ASSERT_EQ(run(engine_->writer.receive(other_, back))->verdict, Verdict::kAccepted);
  base_ = back;
  const auto merge = by_bob(room, "merge", {said->id(), back->id()}, back->depth() + 1);
  ASSERT_EQ(run(engine_->writer.receive(other_, merge))->verdict, Verdict::kAccepted);
  EXPECT_FALSE(standing(room, said->id()).soft_failed);
  expect_consistent();
}

// Nobody else of his server is in the room, so nothing was kept of what he said. It is asked for
// when he is back.
TEST_F(UpkeepTest, WhatAStrangerSaidIsTakenOnceAMemberBuildsOnIt) {
  const RoomId room = room_with_bob("11");
  ASSERT_TRUE(set_membership(room, alice_, bob_, "ban").ok());
  const auto said = by_bob(room, "hello", {base_->id()}, base_->depth() + 1);
  EXPECT_NE(run(engine_->writer.receive(other_, said))->verdict, Verdict::kAccepted);
  EXPECT_FALSE(stores::find_event(*database_->snapshot(), said->id())->has_value());
  ASSERT_TRUE(set_membership(room, alice_, bob_, "leave").ok());
  const auto back = remote_membership(room, bob_, "join");
  ASSERT_EQ(run(engine_->writer.receive(other_, back))->verdict, Verdict::kAccepted);
  base_ = back;
  remote_.missing.push_back(said->json());
  const auto merge = by_bob(room, "merge", {said->id(), back->id()}, back->depth() + 1);
  const auto received = run(engine_->writer.receive(other_, merge));
  ASSERT_TRUE(received.ok()) << received.error().message;
  EXPECT_EQ(received->verdict, Verdict::kAccepted) << received->refusal;
  EXPECT_TRUE(stores::find_event(*database_->snapshot(), said->id())->has_value());
  expect_consistent();
}

// Both are signed: the server says one thing to one and another to others.
TEST_F(UpkeepTest, OfTwoEventsThatForkTheRoomBothAreKept) {
  const RoomId room = room_with_bob("12");
  const auto one = by_bob(room, "yes", {base_->id()}, base_->depth() + 1);
  const auto other = by_bob(room, "no", {base_->id()}, base_->depth() + 1);
  for (const auto& event : {one, other, one})
    ASSERT_EQ(run(engine_->writer.receive(other_, event))->verdict, Verdict::kAccepted);
  EXPECT_EQ(edge(room).size(), 2u);
  ASSERT_TRUE(say(room, alice_, "hello").ok());
  EXPECT_EQ(edge(room).size(), 1u);
  expect_consistent();
}

// It was told of as a part of the state before another event that builds on it, and comes later.
TEST_F(UpkeepTest, WhatComesAfterWhatBuildsOnItIsNoExtremity) {
  const RoomId room = room_with_bob("12");
  const auto first =
      remote_on_edge(room, {.sender = bob_,
                            .type = "m.room.member",
                            .state_key = bob_.str(),
                            .content = {{"membership", "join"}, {"displayname", "b"}}});
  const auto second = by_bob(room, "on top", {first->id()}, first->depth() + 1);
  RemoteStateIds& before = remote_.states[second->id()];
  for (const char* type : {"m.room.create", "m.room.power_levels", "m.room.join_rules"})
    before.state.push_back(EventId::trusted(state(room, type, "")));
  before.state.push_back(EventId::trusted(state(room, "m.room.member", alice_.view())));
  before.state.push_back(first->id());
  remote_.events[first->id()] = first->json();
  ASSERT_EQ(run(engine_->writer.receive(other_, second))->verdict, Verdict::kAccepted);
  ASSERT_TRUE(standing(room, first->id()).outlier);
  const size_t timeline = timeline_size(room);
  ASSERT_EQ(run(engine_->writer.receive(other_, first))->verdict, Verdict::kAccepted);
  EXPECT_EQ(timeline_size(room), timeline + 1);
  EXPECT_EQ(edge(room), std::vector<EventNumber>{number_of(second->id())});
  EXPECT_EQ(state(room, "m.room.member", bob_.view()), first->id().str());
  expect_consistent();
}

TEST_F(UpkeepTest, AnIdThatIsGivenTwiceStandsForTheFirstEvent) {
  const RoomId room = room_with_bob("1");
  const auto first = by_bob(room, "first", {base_->id()}, base_->depth() + 1);
  json::Object pdu = first->object();
  pdu.set("content", json::object({{"body", "second"}}));
  pdu.erase("signatures");
  events::hash_and_sign(pdu, first->rules(), other_, other_key_);
  const auto second = *events::Event::parse(std::move(pdu), first->rules());
  ASSERT_EQ(first->id(), second->id());
  ASSERT_EQ(run(engine_->writer.receive(other_, first))->verdict, Verdict::kAccepted);
  EXPECT_TRUE(run(engine_->writer.receive(other_, second))->known);
  const auto stored = *stores::read_event_json(
      *database_->snapshot(), {(*engine_->source().head(room))->number, number_of(first->id())});
  EXPECT_EQ(*stored, first->json());
  expect_consistent();
}

// The first was told of as an auth event of another one, and has no place in the room yet.
TEST_F(UpkeepTest, AnIdThatWasToldOfAndComesWithAnotherContentIsRefused) {
  const RoomId room = room_with_bob("2");
  const auto again = [&](const events::EventPtr& event, std::string name) {
    json::Object pdu = event->object();
    pdu.set("content", json::object({{"membership", "join"}, {"displayname", std::move(name)}}));
    pdu.erase("signatures");
    events::hash_and_sign(pdu, event->rules(), other_, other_key_);
    return *events::Event::parse(std::move(pdu), event->rules());
  };
  const auto first = again(remote_membership(room, bob_, "join"), "first");
  const auto second = again(first, "second");
  ASSERT_EQ(first->id(), second->id());
  const auto old_base = std::exchange(base_, first);
  const auto said = by_bob(room, "hello", {old_base->id()}, old_base->depth() + 1);
  remote_.events[first->id()] = first->json();
  ASSERT_TRUE(run(engine_->writer.receive(other_, said)).ok());
  ASSERT_TRUE(standing(room, first->id()).outlier);
  const auto refused = run(engine_->writer.receive(other_, second));
  ASSERT_TRUE(refused.ok());
  EXPECT_EQ(refused->verdict, Verdict::kRejected) << refused->refusal;
  EXPECT_TRUE(standing(room, first->id()).outlier);
  EXPECT_EQ(run(engine_->writer.receive(other_, first))->verdict, Verdict::kAccepted);
  EXPECT_FALSE(standing(room, first->id()).outlier);
  expect_consistent();
}

}  // namespace
}  // namespace polder::rooms
