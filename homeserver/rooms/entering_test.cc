// Rooms that another server made and this one enters.
#include "homeserver/rooms/test_engine.h"
#include "storage/stores/check.h"

namespace polder::rooms {
namespace {

class EnteringTest : public RoomsTest {
 protected:
  // A room of bob on the other server, and what alice needs to enter it.
  void make_room(std::string_view version) {
    rules_ = events::find_room_version(version);
    room_ = RoomId::trusted("!theirs" + std::string(version) + ":other");
    json::Object content{{"room_version", std::string(version)}};
    if (!rules_->creator_is_sender) content.set("creator", bob_.str());
    history_.clear();
    const RoomId named = room_;
    if (rules_->room_id_is_create_hash) room_ = RoomId();
    add(bob_, "m.room.create", "", content);
    room_ = rules_->room_id_is_create_hash ? history_[0]->room_id() : named;
    add(bob_, "m.room.member", bob_.str(), {{"membership", "join"}});
    json::Object users;
    if (!rules_->privileged_creators) users.set(bob_.str(), 100);
    add(bob_, "m.room.power_levels", "", {{"users", users}});
    add(bob_, "m.room.join_rules", "", {{"join_rule", "public"}});
  }
  events::EventPtr build(const UserId& sender, std::string type,
                         std::optional<std::string> state_key, json::Object content,
                         std::vector<EventId> prev_events, int64_t depth) {
    events::EventDraft draft{room_, sender, std::move(type), std::move(state_key),
                             std::move(content)};
    draft.prev_events = std::move(prev_events);
    draft.depth = depth;
    const std::string* membership = draft.content.find_string("membership");
    const bool by_join_rules = membership != nullptr && *membership != "ban";
    for (const events::EventPtr& event : history_) {
      const bool needed = (event->is("m.room.create") && !rules_->room_id_is_create_hash) ||
                          event->is("m.room.power_levels") ||
                          (event->is("m.room.join_rules") && by_join_rules) ||
                          (event->is("m.room.member") && *event->state_key() == sender.view());
      if (needed) draft.auth_events.push_back(event->id());
    }
    const bool own = sender.server() == own_.view();
    json::Object pdu = events::make_pdu(draft, *rules_, "x");
    events::hash_and_sign(pdu, *rules_, own ? own_ : other_, own ? key_ : other_key_);
    return *events::Event::parse(std::move(pdu), *rules_);
  }
  void add(const UserId& sender, std::string type, std::string state_key, json::Object content) {
    std::vector<EventId> prev;
    if (!history_.empty()) prev.push_back(history_.back()->id());
    history_.push_back(build(sender, std::move(type), std::move(state_key), std::move(content),
                             std::move(prev), static_cast<int64_t>(history_.size()) + 1));
  }
  events::EventPtr join_of_alice() {
    auto join = build(alice_, "m.room.member", alice_.str(), {{"membership", "join"}},
                      {history_.back()->id()}, static_cast<int64_t>(history_.size()) + 1);
    return join;
  }
  // Enters with the state in that order; what became of it.
  Status enter(std::vector<events::EventPtr> state, const events::EventPtr& join) {
    const auto entered = run(engine_->enter(*rules_, ImportedState{std::move(state), {}}, join));
    return entered.ok() ? Status() : Status(entered.error());
  }
  size_t edge() { return (*engine_->head(room_))->record.extremities.size(); }
  void expect_consistent() {
    EXPECT_EQ(stores::check_database(*database_->snapshot())->faults, std::vector<std::string>{});
  }

  const events::RoomVersionRules* rules_ = nullptr;
  RoomId room_;
  std::vector<events::EventPtr> history_;
};

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
  ASSERT_TRUE(run(engine_->purge(room_)).ok());
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
    const auto received = run(engine_->receive(other_, next));
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
  const auto received = run(engine_->receive(other_, next));
  ASSERT_TRUE(received.ok()) << received.error().message;
  EXPECT_EQ(received->verdict, Verdict::kAccepted) << received->refusal;
  EXPECT_EQ(remote_.asked_missing.back().min_depth, join->depth());
  EXPECT_EQ(remote_.asked_missing.back().earliest, std::vector<EventId>(1, join->id()));
  EXPECT_EQ(timeline_size(room_), timeline + 1);
  EXPECT_EQ(edge(), 1u);
  expect_consistent();
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
      ASSERT_EQ(run(engine_->receive(other_, ban))->verdict, Verdict::kAccepted);
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
    const auto received = run(engine_->receive(other_, next));
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
  const auto lost = run(engine_->receive(other_, next));
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().code, ErrorCode::kUnavailable);
  remote_.reachable = true;
  const auto received = run(engine_->receive(other_, next));
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
    const auto received = run(engine_->receive(other_, next, uncheckable));
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
  const auto received = run(engine_->receive(other_, history_[0]));
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
    const auto entered = run(engine_->enter(*rules_, std::move(part), join));
    ASSERT_TRUE(entered.ok()) << entered.error().message;
    join_ = join;
  }
  bool is_partial() { return (*engine_->head(room_))->record.partial; }
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
    EXPECT_EQ(run(engine_->receive(other_, topic))->verdict, Verdict::kAccepted);
    EXPECT_EQ(state(room_, "m.room.member", dora_.view()), "") << version;
    EXPECT_EQ((*engine_->head(room_))->record.joined, 2u);
    expect_consistent();
    complete();
    EXPECT_EQ(state(room_, "m.room.member", dora_.view()), doras_->id().str()) << version;
    EXPECT_EQ(state(room_, "m.room.name", ""), topic->id().str()) << version;
    EXPECT_EQ((*engine_->head(room_))->record.joined, 3u);
    EXPECT_TRUE(say(room_, alice_, "hello").ok());
    expect_consistent();
  }
}

TEST_F(PartialStateTest, WhatIsNotKnownIsTakenFromTheAuthEvents) {
  enter_in_part("11");
  keys_.unreachable.clear();
  const auto said = by_third("m.room.message", std::nullopt, {{"body", "hello"}}, {join_->id()}, 7);
  const auto received = run(engine_->receive(third_, said));
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
    const auto note = by_third("m.room.message", std::nullopt, {{"body", "x"}}, {join_->id()}, 8);
    const auto received = run(engine_->receive(third_, note));
    ASSERT_TRUE(received.ok()) << received.error().message;
    EXPECT_EQ(received->verdict, Verdict::kAccepted) << received->refusal;
    const auto sent = say(room_, alice_, "on top of it");
    ASSERT_TRUE(sent.ok());
    const auto again = by_third("m.room.message", std::nullopt, {{"body", "y"}}, {note->id()}, 9);
    ASSERT_EQ(run(engine_->receive(third_, again))->verdict, Verdict::kAccepted);
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

TEST_F(PartialStateTest, ItGoesOnAfterARestart) {
  enter_in_part("12");
  ASSERT_TRUE(say(room_, alice_, "hello").ok());
  crash();
  ASSERT_TRUE(engine_->start().ok());
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
