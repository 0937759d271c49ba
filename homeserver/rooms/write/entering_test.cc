// Rooms that another server made and this one enters.
#include "homeserver/rooms/engine/testing/other_room.h"

namespace polder::rooms {
namespace {

TEST_F(EnteringTest, TheOrderInWhichTheStateIsToldDoesNotMatter) {
  for (const char* version : {"6", "11", "12"}) {
    make_room(version);
    const auto join = join_of_alice();
    std::vector<events::EventPtr> backwards(history_.rbegin(), history_.rend());
    ASSERT_TRUE(enter(backwards, join).ok()) << version;
    EXPECT_EQ(state(room_, "m.room.create", ""), history_[0]->id().str()) << version;
    EXPECT_TRUE(say(room_, alice_, "hello").ok()) << version;
  }
  expect_consistent();
}

TEST_F(EnteringTest, ARoomThatWasPurgedBeginsAnew) {
  make_room("12");
  ASSERT_TRUE(enter(history_, join_of_alice()).ok());
  ASSERT_TRUE(say(room_, alice_, "hello").ok());
  ASSERT_TRUE(set_membership(room_, alice_, alice_, "leave").ok());
  ASSERT_TRUE(run(engine_->upkeep.purge(room_, policy::Administrator())).ok());
  ASSERT_TRUE(enter(history_, join_of_alice()).ok());
  EXPECT_EQ(timeline_size(room_), 1u);
  EXPECT_TRUE(say(room_, alice_, "again").ok());
  expect_consistent();
  crash();
  EXPECT_TRUE(say(room_, alice_, "and again").ok());
  expect_consistent();
}

TEST_F(EnteringTest, HistoryIsNotTakenForNews) {
  for (const char* version : {"11", "12"}) {
    make_room(version);
    const auto join = join_of_alice();
    ASSERT_TRUE(enter(history_, join).ok());
    // Sent at the same time as the join, and never sent here.
    const auto aside =
        build(bob_, "m.room.message", std::nullopt, {{"body", "1"}}, {history_.back()->id()}, 5);
    const auto next =
        build(bob_, "m.room.message", std::nullopt, {{"body", "2"}}, {join->id(), aside->id()}, 6);
    RemoteStateIds before;
    remote_.missing.clear();
    for (const events::EventPtr& event : history_) {
      before.state.push_back(event->id());
      remote_.missing.push_back(event->json());
    }
    remote_.missing.push_back(aside->json());
    remote_.states[aside->id()] = before;
    const size_t timeline = timeline_size(room_);
    const auto received = run(engine_->writer.receive(other_, next));
    ASSERT_TRUE(received.ok()) << received.error().message;
    EXPECT_EQ(received->verdict, Verdict::kAccepted) << received->refusal;
    EXPECT_EQ(timeline_size(room_), timeline + 2) << "the two messages";
    EXPECT_EQ(edge(), 1u);
    EXPECT_TRUE(say(room_, alice_, "hello").ok());
  }
  expect_consistent();
}

TEST_F(EnteringTest, WhatIsOlderThanAllThatIsHereIsNotAskedFor) {
  make_room("12");
  const auto join = join_of_alice();
  ASSERT_TRUE(enter(history_, join).ok());
  // From another branch, that this server was never told of.
  const auto aside =
      build(bob_, "m.room.message", std::nullopt, {{"body", "1"}}, {history_[2]->id()}, 4);
  const auto next =
      build(bob_, "m.room.message", std::nullopt, {{"body", "2"}}, {join->id(), aside->id()}, 6);
  RemoteStateIds before;
  for (const events::EventPtr& event : history_)
    before.state.push_back(event->id());
  before.state.push_back(join->id());
  remote_.states[next->id()] = before;
  // The other server tells more than it was asked.
  remote_.missing = {history_[3]->json(), aside->json()};
  const size_t timeline = timeline_size(room_);
  const auto received = run(engine_->writer.receive(other_, next));
  ASSERT_TRUE(received.ok()) << received.error().message;
  EXPECT_EQ(received->verdict, Verdict::kAccepted) << received->refusal;
  EXPECT_EQ(remote_.asked_missing.back().min_depth, join->depth());
  EXPECT_EQ(remote_.asked_missing.back().earliest, std::vector<EventId>(1, join->id()));
  EXPECT_EQ(timeline_size(room_), timeline + 1);
  EXPECT_EQ(edge(), 1u);
  expect_consistent();
}

// Others write meanwhile, however many ids another server makes up.
TEST_F(EnteringTest, TheIdsOfAReceivedStateAreLookedUpOutsideOfTheRoomsTurns) {
  make_room("12");
  const auto join = join_of_alice();
  ASSERT_TRUE(enter(history_, join).ok());
  const auto aside =
      build(bob_, "m.room.message", std::nullopt, {{"body", "1"}}, {history_[2]->id()}, 4);
  const auto next =
      build(bob_, "m.room.message", std::nullopt, {{"body", "2"}}, {join->id(), aside->id()}, 6);
  RemoteStateIds& before = remote_.states[next->id()];
  for (const events::EventPtr& event : history_)
    before.state.insert(before.state.end(), 1000, event->id());
  for (int i = 0; i < 100'000; ++i)
    before.auth_chain.push_back(history_[static_cast<size_t>(i) % history_.size()]->id());
  for (int i = 0; i < 200; ++i)
    before.auth_chain.push_back(EventId::trusted("$unknown" + std::to_string(i)));
  std::optional<Result<Received>> received;
  runtime::spawn(*runtime_, runtime_->shard(0), "test",
                 runtime::keep(engine_->writer.receive(other_, next), received));
  ASSERT_TRUE(simulation_->run_until([&] { return remote_.asked_state_ids > 0; }, Millis(60'000)));
  EXPECT_TRUE(say(room_, alice_, "meanwhile").ok());
  EXPECT_EQ(remote_.asked_states, 0u) << "the ids are still being looked up";
  EXPECT_TRUE(simulation_->run_until([&] { return received.has_value(); }, Millis(60'000)));
  EXPECT_EQ(remote_.asked_states, 1u);
  // And not for ever.
  before.state.assign(1'000'001, EventId::trusted("$unknown"));
  EXPECT_EQ(run(engine_->writer.receive(other_, next)).error().code, ErrorCode::kTooLarge);
}

// Step 6 after a gap: the join of the sender came by another branch. So may a lie.
TEST_F(EnteringTest, WhatAnEventKnowsAfterAGapIsWeighedAgainstTheCurrentState) {
  for (const bool banned : {false, true}) {
    make_room(banned ? "11" : "12");
    const UserId dave = UserId::trusted("@dave:other");
    const auto join = join_of_alice();
    ASSERT_TRUE(enter(history_, join).ok());
    EventId edge = join->id();
    if (banned) {
      const auto ban = build(bob_, "m.room.member", dave.str(), {{"membership", "ban"}}, {edge}, 6);
      ASSERT_EQ(run(engine_->writer.receive(other_, ban))->verdict, Verdict::kAccepted);
      edge = ban->id();
    }
    const auto missed = build(dave, "m.room.member", dave.str(), {{"membership", "join"}},
                              {history_.back()->id()}, 4);
    RemoteStateIds before;
    for (const events::EventPtr& event : history_)
      before.state.push_back(event->id());
    before.state.push_back(missed->id());
    history_.push_back(missed);
    const auto next =
        build(dave, "m.room.message", std::nullopt, {{"body", "x"}}, {edge, missed->id()}, 7);
    remote_.missing.clear();
    remote_.events[missed->id()] = missed->json();
    remote_.states[next->id()] = before;
    const auto received = run(engine_->writer.receive(other_, next));
    ASSERT_TRUE(received.ok()) << received.error().message;
    EXPECT_EQ(received->verdict, banned ? Verdict::kSoftFailed : Verdict::kAccepted)
        << received->refusal;
  }
  expect_consistent();
}

// What this server knew of the room when it left says nothing of who may enter now.
TEST_F(EnteringTest, ARoomIsEnteredAgainByWhatItIsNow) {
  make_room("11");
  history_.pop_back();
  add(bob_, "m.room.join_rules", "", {{"join_rule", "invite"}});
  add(bob_, "m.room.member", alice_.str(), {{"membership", "invite"}});
  ASSERT_TRUE(enter(history_, join_of_alice()).ok());
  ASSERT_TRUE(set_membership(room_, alice_, alice_, "leave").ok());
  history_.pop_back();
  add(bob_, "m.room.member", alice_.str(), {{"membership", "invite"}, {"reason", "again"}});
  const Status again = enter(history_, join_of_alice());
  EXPECT_TRUE(again.ok()) << again.error().message;
  EXPECT_TRUE(say(room_, alice_, "hello").ok());
  expect_consistent();
}

TEST_F(EnteringTest, APartOfAStateIsNotTakenForTheWhole) {
  make_room("11");
  ASSERT_TRUE(enter(history_, join_of_alice()).ok());
  const auto topic = build(bob_, "m.room.topic", "", {{"topic", "t"}}, {EventId::trusted("$x")}, 7);
  const auto next = build(bob_, "m.room.message", std::nullopt, {{"body", "1"}}, {topic->id()}, 8);
  RemoteStateIds before;
  for (const events::EventPtr& event : history_)
    before.state.push_back(event->id());
  before.state.push_back(topic->id());
  remote_.states[next->id()] = before;
  remote_.events[topic->id()] = topic->json();
  remote_.reachable = false;
  const auto lost = run(engine_->writer.receive(other_, next));
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().code, ErrorCode::kUnavailable);
  remote_.reachable = true;
  const auto received = run(engine_->writer.receive(other_, next));
  ASSERT_TRUE(received.ok()) << received.error().message;
  EXPECT_EQ(state(room_, "m.room.topic", ""), topic->id().str());
  expect_consistent();
}

// A state with an event of a server whose keys cannot be had.
TEST_F(EnteringTest, AKeyThatCannotBeHadNowIsNoBadSignature) {
  const ServerName third = ServerName::trusted("third");
  const UserId dora = UserId::trusted("@dora:third");
  const crypto::SigningKey third_key = make_key('3');
  const auto receive_with_unchecked_state = [&](const char* version, Uncheckable uncheckable) {
    make_room(version);
    EXPECT_TRUE(enter(history_, join_of_alice()).ok());
    json::Object pdu = build(dora, "m.room.member", dora.str(), {{"membership", "join"}},
                             {EventId::trusted("$x")}, 7)
                           ->object();
    pdu.erase("signatures");
    events::hash_and_sign(pdu, *rules_, third, third_key);
    const auto join = *events::Event::parse(std::move(pdu), *rules_);
    const auto next = build(bob_, "m.room.message", std::nullopt, {{"body", "1"}}, {join->id()}, 8);
    RemoteStateIds before;
    for (const events::EventPtr& event : history_)
      before.state.push_back(event->id());
    before.state.push_back(join->id());
    remote_.states[next->id()] = before;
    remote_.events[join->id()] = join->json();
    const auto received = run(engine_->writer.receive(other_, next, uncheckable));
    return std::tuple(received.ok() ? std::nullopt : std::optional(received.error().code),
                      state(room_, "m.room.member", dora.view()) == join->id().view());
  };
  keys_.add(third, third_key);
  keys_.unreachable.insert(third);
  EXPECT_EQ(receive_with_unchecked_state("9", Uncheckable::kWait),
            std::tuple(ErrorCode::kUnavailable, false));
  EXPECT_EQ(receive_with_unchecked_state("10", Uncheckable::kDrop), std::tuple(std::nullopt, false))
      << "that server may be gone for good";
  keys_.unreachable.clear();
  EXPECT_EQ(receive_with_unchecked_state("11", Uncheckable::kWait), std::tuple(std::nullopt, true));
  expect_consistent();
}

// Whoever sends the create event again, or pages back to it, does no harm.
TEST_F(EnteringTest, TheCreateEventStaysAllowed) {
  make_room("11");
  const auto join = join_of_alice();
  ASSERT_TRUE(enter(history_, join).ok());
  const auto received = run(engine_->writer.receive(other_, history_[0]));
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(received->verdict, Verdict::kAccepted) << received->refusal;
  EXPECT_EQ(timeline_size(room_), 1u) << "the join";
  EXPECT_EQ(edge(), 1u);
  EXPECT_EQ(state(room_, "m.room.create", ""), history_[0]->id().str());
  EXPECT_TRUE(say(room_, alice_, "hello").ok());
  expect_consistent();
}

// A room of which alice's server is told all but what dora, of a third server, did: the keys of
// that one cannot be had.
}  // namespace
}  // namespace polder::rooms
