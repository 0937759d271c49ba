// States of other servers, of any size.
#include "homeserver/rooms/write/received_state.h"

#include <algorithm>

#include "homeserver/rooms/engine/testing/other_room.h"

namespace polder::rooms {
namespace {

constexpr size_t kMembers = 500;
constexpr size_t kStep = 100;

class ReceivedStateTest : public EnteringTest, public Observer {
 protected:
  ReceivedStateTest() {
    steps_ = {.large_state = kStep, .changes = kStep};
    crash();
  }
  // A room of many: its state as the other server has it, members before what they need.
  void make_large_room(std::string_view version) {
    make_room(version);
    const std::vector<EventId> prev = {history_.back()->id()};
    for (size_t i = 0; i < kMembers; ++i) {
      const UserId user = UserId::trusted("@u" + std::to_string(i) + ":other");
      members_.push_back(
          build(user, "m.room.member", user.str(), {{"membership", "join"}}, prev, 5));
    }
    for (const events::EventPtr& event : members_)
      received_.state.push_back(event->json());
    for (auto event = history_.rbegin(); event != history_.rend(); ++event)
      received_.state.push_back((*event)->json());
    received_.auth_chain.assign(received_.state.end() - 4, received_.state.end());
  }
  ReceivedStatePtr sorted() { return run(engine_->writer.sort(received_, *rules_, room_)); }

  void enter_large() {
    engine_->rooms.add_observer(*this);
    join_ = join_of_alice();
    RemoteStateIds ids;
    for (const auto* list : {&members_, &history_}) {
      for (const events::EventPtr& event : *list)
        ids.state.push_back(event->id());
    }
    remote_.states[join_->id()] = ids;
    remote_.whole_states[join_->id()] = received_;
    const ReceivedStatePtr rest = sorted();
    ImportedState state;
    state.partial.emplace();
    state.partial->since_ms = runtime_->clock().wall_ms();
    state.partial->servers = {other_};
    state.state =
        run(engine_->writer.verify_all(rest->take_first(*join_, kStep).state, *rules_, room_)).good;
    state.rest = rest;
    const auto entered = run(engine_->writer.enter(*rules_, std::move(state), join_));
    ASSERT_TRUE(entered.ok()) << entered.error().message;
  }
  const stores::RoomRecord& record() { return (*engine_->source().head(room_))->record; }
  void complete() {
    ASSERT_TRUE(simulation_->run_until([this] { return !record().partial; }, Millis(600'000)));
    EXPECT_EQ(record().joined, kMembers + 2);
    for (const size_t i : {size_t{0}, kMembers / 2, kMembers - 1}) {
      EXPECT_EQ(state(room_, "m.room.member", *members_[i]->state_key()), members_[i]->id().str());
    }
    expect_consistent();
  }
  void committed(const StoredEvent&, Verdict, const std::vector<StateChange>& changes) override {
    most_changes_ = std::max(most_changes_, changes.size());
  }

  std::vector<events::EventPtr> members_;
  RemoteState received_;
  events::EventPtr join_;
  size_t most_changes_ = 0;  // in one batch
};

TEST_F(ReceivedStateTest, EachEventComesAfterThoseThatAllowIt) {
  for (const char* version : {"6", "12"}) {
    members_.clear();
    received_ = {};
    make_large_room(version);
    const ReceivedStatePtr received = sorted();
    std::set<EventId> taken;
    while (!received->empty()) {
      const auto pdus = received->take_next(100);
      ASSERT_LE(pdus.size(), 100u);
      for (const std::string& pdu : pdus) {
        const auto event = *events::Event::parse(pdu, *rules_);
        for (const EventId& id : event->auth_events())
          EXPECT_TRUE(taken.contains(id)) << version << " " << pdu;
        EXPECT_TRUE(taken.insert(event->id()).second) << pdu;
      }
      EXPECT_TRUE(taken.contains(history_[0]->id()));
    }
    EXPECT_EQ(taken.size(), kMembers + history_.size());
    EXPECT_EQ(received->state_ids().size(), taken.size());
  }
}

TEST_F(ReceivedStateTest, WhatMakesALargeRoomUsableComesFirst) {
  make_large_room("12");
  // One that allows the join, of which nothing but the chain of auth events tells.
  const auto allowing = members_.back();
  received_.state.erase(std::ranges::find(received_.state, allowing->json()));
  received_.auth_chain.push_back(allowing->json());
  const auto ban = build(bob_, "m.room.member", carol_.str(), {{"membership", "ban"}},
                         {history_.back()->id()}, 6);
  received_.state.push_back(ban->json());
  events::EventDraft draft{room_, alice_, "m.room.member", alice_.str(), {{"membership", "join"}}};
  draft.auth_events = {allowing->id()};
  json::Object pdu = events::make_pdu(draft, *rules_, "x");
  events::hash_and_sign(pdu, *rules_, own_, key_);
  const auto join = *events::Event::parse(std::move(pdu), *rules_);
  const ReceivedStatePtr received = sorted();
  const RemoteState first = received->take_first(*join, kStep);
  EXPECT_EQ(first.state.size(), history_.size() + 1);
  EXPECT_NE(std::ranges::find(first.state, ban->json()), first.state.end());
  EXPECT_EQ(first.auth_chain, std::vector<std::string>{allowing->json()});
  EXPECT_EQ(received->servers(), (std::vector<ServerName>{other_, own_}));
  size_t rest = 0;
  while (!received->empty())
    rest += received->take_next(1000).size();
  EXPECT_EQ(rest, kMembers - 1);
}

TEST_F(ReceivedStateTest, ASmallStateComesWhole) {
  make_room("11");
  for (const events::EventPtr& event : history_)
    received_.state.push_back(event->json());
  const ReceivedStatePtr received = sorted();
  EXPECT_EQ(received->take_first(*join_of_alice(), kStep).state.size(), history_.size());
  EXPECT_TRUE(received->empty());
}

TEST_F(ReceivedStateTest, WhatIsNoEventOfTheRoomIsLeftOut) {
  make_room("11");
  received_.state = {"{}", "rubbish", history_[0]->json(), history_[0]->json()};
  make_room("12");
  received_.auth_chain = {history_[1]->json(), history_[1]->json(), "[]"};
  const ReceivedStatePtr received = sorted();
  EXPECT_TRUE(received->state_ids().empty());
  EXPECT_EQ(received->take_next(10), std::vector<std::string>{history_[1]->json()});
}

TEST_F(ReceivedStateTest, ALargeRoomIsUsedBeforeAllOfItIsTakenIn) {
  make_large_room("12");
  enter_large();
  EXPECT_TRUE(record().partial);
  EXPECT_LT(record().joined, 10u);
  EXPECT_TRUE(say(room_, alice_, "hello").ok());
  expect_consistent();
  // While the current state follows in steps, the room goes on.
  ASSERT_TRUE(
      simulation_->run_until([this] { return record().edge_state.has_value(); }, Millis(600'000)));
  EXPECT_LT(record().joined, kMembers);
  EXPECT_TRUE(say(room_, alice_, "hello").ok());
  const auto name = build(bob_, "m.room.name", "", {{"name", "n"}}, {join_->id()}, 7);
  EXPECT_EQ(run(engine_->writer.receive(other_, name))->verdict, Verdict::kAccepted);
  EXPECT_EQ(state(room_, "m.room.name", ""), name->id().str());
  expect_consistent();
  complete();
  EXPECT_EQ(state(room_, "m.room.name", ""), name->id().str());
  EXPECT_LE(most_changes_, kStep + 1);
  EXPECT_TRUE(say(room_, alice_, "hello").ok());
  crash();
  EXPECT_EQ(record().joined, kMembers + 2);
}

TEST_F(ReceivedStateTest, WhatARestartLosesOfALargeStateIsAskedForAgain) {
  make_large_room("11");
  enter_large();
  crash();
  EXPECT_TRUE(record().partial);
  EXPECT_LT(record().joined, 10u);
  ASSERT_TRUE(engine_->upkeep.start().ok());
  EXPECT_TRUE(say(room_, alice_, "hello").ok());
  complete();
}

TEST_F(ReceivedStateTest, ARestartBetweenTwoStepsLosesNone) {
  make_large_room("11");
  enter_large();
  ASSERT_TRUE(
      simulation_->run_until([this] { return record().edge_state.has_value(); }, Millis(600'000)));
  remote_.states.clear();
  remote_.whole_states.clear();
  crash();
  EXPECT_TRUE(record().edge_state.has_value());
  ASSERT_TRUE(engine_->upkeep.start().ok());
  complete();
}

}  // namespace
}  // namespace polder::rooms
