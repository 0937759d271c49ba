#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/rooms/engine/testing/engine.h"
#include "homeserver/rooms/read/restricted.h"
#include "storage/stores/check/check.h"

namespace polder::rooms {
namespace {

const RoomId kFar = RoomId::trusted("!far:other");
const events::RoomVersionRules& kRules = *events::find_room_version("11");

class Listener final : public Observer {
 public:
  std::vector<OutsideMembership> outside;
  void committed(const StoredEvent&, Verdict, const std::vector<StateChange>&) override {}
  void committed_outside(const OutsideMembership& membership) override {
    outside.push_back(membership);
  }
};

class OutsideTest : public RoomsTest {
 protected:
  void SetUp() override { engine_->rooms.add_observer(listener_); }

  events::EventPtr far_event(const UserId& sender, std::string type, std::string state_key,
                             json::Object content, std::vector<EventId> auth = {}) {
    events::EventDraft draft;
    draft.room_id = kFar;
    draft.sender = sender;
    draft.type = std::move(type);
    draft.state_key = std::move(state_key);
    draft.content = std::move(content);
    if (draft.type != "m.room.create")
      draft.prev_events.push_back(auth.empty() ? EventId::trusted("$prev") : auth.back());
    draft.auth_events = std::move(auth);
    draft.depth = ++depth_;
    json::Object pdu = events::make_pdu(draft, kRules, "x");
    const bool own = sender.server() == own_.view();
    events::hash_and_sign(pdu, kRules, own ? own_ : other_, own ? key_ : other_key_);
    return *events::Event::parse(std::move(pdu), kRules);
  }
  events::EventPtr far_member(const UserId& sender, const UserId& target, std::string membership,
                              std::vector<EventId> auth = {}) {
    return far_event(sender, "m.room.member", target.str(), {{"membership", std::move(membership)}},
                     std::move(auth));
  }
  Result<SentEvent> store(events::EventPtr event, json::Array stripped = {}) {
    return run(
        engine_->writer.store_outside_membership(kRules, std::move(event), std::move(stripped)));
  }
  std::optional<stores::MembershipRow> row(const UserId& user, const RoomId& room = kFar) {
    const auto snapshot = database_->snapshot();
    const auto user_number = *names_->find(stores::NameKind::kUser, user.view());
    const auto room_number = *engine_->source().find(room);
    if (!user_number || !room_number) return {};
    return *stores::read_membership(*snapshot, *user_number, *room_number);
  }
  void expect_sound() {
    const auto report = stores::check_database(*database_->snapshot());
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report->faults, std::vector<std::string>{});
  }
  // The state of a public room of bob's, before a join.
  ImportedState far_state(const std::vector<UserId>& invited) {
    ImportedState state;
    auto& list = state.state;
    list.push_back(far_event(bob_, "m.room.create", "", {{"room_version", "11"}}));
    list.push_back(far_member(bob_, bob_, "join", {list[0]->id()}));
    list.push_back(far_event(bob_, "m.room.join_rules", "", {{"join_rule", "public"}},
                             {list[0]->id(), list[1]->id()}));
    for (const UserId& user : invited)
      list.push_back(
          far_member(bob_, user, "invite", {list[0]->id(), list[1]->id(), list[2]->id()}));
    return state;
  }

  Listener listener_;
  int64_t depth_ = 0;
};

TEST_F(OutsideTest, AnInviteIsKeptWithoutARoom) {
  const auto invite = far_member(bob_, alice_, "invite");
  const auto stored = store(invite, {json::object({{"type", "m.room.name"},
                                                   {"state_key", ""},
                                                   {"sender", bob_.str()},
                                                   {"content", json::object({{"name", "Far"}})}})});
  ASSERT_TRUE(stored.ok()) << stored.error().message;
  const auto kept = row(alice_);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->membership, stores::Membership::kInvite);
  EXPECT_EQ(kept->event, 0u);
  EXPECT_EQ(kept->asked_by, invite->id());
  EXPECT_EQ(kept->position, stored->position);
  EXPECT_EQ(kept->stripped_state,
            R"([{"content":{"name":"Far"},"sender":"@bob:other","state_key":"",)"
            R"("type":"m.room.name"},{"content":{"membership":"invite"},"sender":"@bob:other",)"
            R"("state_key":"@alice:own","type":"m.room.member"}])");
  EXPECT_EQ(*engine_->source().head(kFar), nullptr);
  ASSERT_EQ(listener_.outside.size(), 1u);
  EXPECT_EQ(listener_.outside[0].user, alice_);
  EXPECT_EQ(listener_.outside[0].position, stored->position);
  // Told twice, it is known.
  EXPECT_EQ(store(far_member(bob_, alice_, "invite"), {}).ok(), true);
  expect_sound();
  crash();
  EXPECT_EQ(row(alice_)->membership, stores::Membership::kInvite);
  EXPECT_EQ(say(kFar, alice_, "x").error().code, ErrorCode::kForbidden);
}

TEST_F(OutsideTest, TheSameInviteTwiceIsOneChange) {
  const auto invite = far_member(bob_, alice_, "invite");
  const auto first = store(invite);
  EXPECT_EQ(store(invite)->position, first->position);
  EXPECT_EQ(listener_.outside.size(), 1u);
}

// CVE-2024-52815: what a client cannot read of its stripped state keeps it from syncing.
TEST_F(OutsideTest, OnlyTheFormOfStrippedStateIsKept) {
  const auto given = [](const char* text) { return *json::parse(text); };
  json::Array hostile;
  for (const char* text :
       {"1", "null", "[]", "{}", R"({"type":1,"state_key":"","sender":"@b:other","content":{}})",
        R"({"type":"m.room.name","sender":"@b:other","content":{}})",
        R"({"type":"m.room.name","state_key":"","sender":"bob","content":{}})",
        R"({"type":"m.room.name","state_key":"","sender":"@b:other","content":"x"})",
        // Not the room's version, and not the invite.
        R"({"type":"m.room.create","state_key":"","sender":"@b:other",
            "content":{"room_version":"12"}})",
        R"({"type":"m.room.member","state_key":"@alice:own","sender":"@b:other",
            "content":{"membership":"join"}})"}) {
    hostile.push_back(given(text));
  }
  hostile.push_back(given(R"({"type":"m.room.topic","state_key":"","sender":"@b:other",
                              "content":{},"unsigned":{"x":1},"hashes":{}})"));
  ASSERT_TRUE(store(far_member(bob_, alice_, "invite"), std::move(hostile)).ok());
  const auto kept = json::parse(row(alice_)->stripped_state);
  ASSERT_TRUE(kept.ok());
  ASSERT_EQ(kept->as_array()->size(), 2u);
  EXPECT_EQ(json::write(kept->as_array()->front()),
            R"({"content":{},"sender":"@b:other","state_key":"","type":"m.room.topic"})");
}

TEST_F(OutsideTest, StrippedStateIsBounded) {
  json::Array large;
  for (int i = 0; i < 500; ++i) {
    large.emplace_back(
        json::object({{"type", "x"},
                      {"state_key", std::to_string(i)},
                      {"sender", bob_.str()},
                      {"content", json::object({{"x", std::string(size_t(i) * 100, 'x')}})}}));
  }
  ASSERT_TRUE(store(far_member(bob_, alice_, "invite"), std::move(large)).ok());
  EXPECT_LT(row(alice_)->stripped_state.size(), 300'000u);
  EXPECT_LE(json::parse(row(alice_)->stripped_state)->as_array()->size(), 101u);
}

TEST_F(OutsideTest, ALeaveEndsAnInviteAndNothingElse) {
  EXPECT_EQ(store(far_member(bob_, alice_, "leave")).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(store(far_member(bob_, alice_, "invite")).ok());
  EXPECT_EQ(store(far_member(bob_, carol_, "ban")).error().code, ErrorCode::kNotFound);
  const auto left = store(far_member(bob_, alice_, "leave"));
  ASSERT_TRUE(left.ok()) << left.error().message;
  EXPECT_EQ(row(alice_)->membership, stores::Membership::kLeave);
  EXPECT_EQ(row(alice_)->position, left->position);
  const auto event = json::parse(row(alice_)->stripped_state);
  ASSERT_TRUE(event.ok());
  EXPECT_EQ(*event->as_array()->front().as_object()->find_string("event_id"), left->id.str());
  EXPECT_EQ(store(far_member(bob_, alice_, "ban")).error().code, ErrorCode::kNotFound);
  expect_sound();
}

TEST_F(OutsideTest, OtherEventsAndUsersAreNoOutsideMemberships) {
  EXPECT_EQ(store(far_member(alice_, alice_, "join")).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(store(far_member(bob_, bob_, "invite")).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(store(far_event(bob_, "m.room.topic", alice_.str(), {})).error().code,
            ErrorCode::kInvalid);
  EXPECT_EQ(store(far_member(bob_, UserId::trusted("alice"), "invite")).error().code,
            ErrorCode::kInvalid);
}

TEST_F(OutsideTest, ARoomThatIsFollowedTakesNoOutsideMembership) {
  const RoomId room = create("11");
  const auto join = remote_membership(room, bob_, "join");
  ASSERT_TRUE(run(engine_->writer.receive(other_, join)).ok());
  const auto invite = remote_on_edge(room, {.sender = bob_,
                                            .type = "m.room.member",
                                            .state_key = carol_.str(),
                                            .content = {{"membership", "invite"}}});
  EXPECT_EQ(store(invite).error().code, ErrorCode::kExists);
  EXPECT_FALSE(row(carol_, room));
}

TEST_F(OutsideTest, EnteringTheRoomEndsWhatWasOutside) {
  const UserId dave = UserId::trusted("@dave:own");
  for (const UserId& user : {alice_, carol_, dave})
    ASSERT_TRUE(store(far_member(bob_, user, "invite")).ok());
  auto state = far_state({alice_, carol_});
  const auto& list = state.state;
  const auto join =
      far_member(alice_, alice_, "join", {list[0]->id(), list[2]->id(), list[3]->id()});
  const auto entered = run(engine_->writer.enter(kRules, std::move(state), join));
  ASSERT_TRUE(entered.ok()) << entered.error().message;
  EXPECT_EQ(row(alice_)->membership, stores::Membership::kJoin);
  EXPECT_EQ(row(carol_)->membership, stores::Membership::kInvite);
  EXPECT_NE(row(carol_)->event, 0u);
  // The room knows nothing of dave's invite.
  EXPECT_EQ(row(dave)->membership, stores::Membership::kLeave);
  for (const UserId& user : {alice_, carol_, dave})
    EXPECT_EQ(row(user)->stripped_state, "");
  EXPECT_EQ((*engine_->source().head(kFar))->record.joined, 2u);
  expect_sound();
  EXPECT_TRUE(say(kFar, alice_, "in").ok());
}

TEST_F(OutsideTest, NothingIsSentIntoARoomThatWasLeft) {
  const RoomId room = create("11");
  ASSERT_TRUE(set_membership(room, alice_, alice_, "leave").ok());
  EXPECT_EQ(set_membership(room, alice_, alice_, "join").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(
      run(engine_->writer.prepare(room, {.sender = alice_, .type = "m.room.message"})).error().code,
      ErrorCode::kForbidden);
}

TEST_F(OutsideTest, APreparedEventIsStoredOnceAndInTurn) {
  const RoomId room = create();
  const LocalEvent invite{.sender = alice_,
                          .type = "m.room.member",
                          .state_key = bob_.str(),
                          .content = {{"membership", "invite"}}};
  const auto prepared = run(engine_->writer.prepare(room, invite));
  ASSERT_TRUE(prepared.ok()) << prepared.error().message;
  EXPECT_EQ(timeline_size(room), 4u);
  EXPECT_EQ(state(room, "m.room.member", bob_.str()), "");
  ASSERT_TRUE(say(room, alice_, "meanwhile").ok());
  json::Object pdu = (*prepared)->object();
  events::sign_event(pdu, (*prepared)->rules(), other_, other_key_);
  const auto both = *events::Event::parse(pdu, (*prepared)->rules());
  EXPECT_TRUE(run(engine_->writer.verify_signature(both, other_)).ok());
  EXPECT_EQ(run(engine_->writer.verify_signature(*prepared, other_)).error().code,
            ErrorCode::kBadSignature);
  ASSERT_TRUE(run(engine_->writer.store_prepared(both)).ok());
  EXPECT_EQ(state(room, "m.room.member", bob_.str()), both->id().str());
  EXPECT_EQ(run(engine_->writer.store_prepared(both)).error().code, ErrorCode::kExists);
  EXPECT_EQ(timeline_size(room), 6u);
  expect_sound();
}

TEST_F(OutsideTest, APreparedEventThatTheRoomNoLongerAllowsIsRefused) {
  const RoomId room = create();
  EXPECT_EQ(
      run(engine_->writer.prepare(room, {.sender = carol_, .type = "m.room.message"})).error().code,
      ErrorCode::kForbidden);
  const auto prepared = run(engine_->writer.prepare(room, {.sender = alice_,
                                                           .type = "m.room.member",
                                                           .state_key = bob_.str(),
                                                           .content = {{"membership", "invite"}}}));
  ASSERT_TRUE(set_membership(room, alice_, bob_, "ban").ok());
  EXPECT_EQ(run(engine_->writer.store_prepared(*prepared)).error().code, ErrorCode::kForbidden);
  EXPECT_EQ(timeline_size(room), 5u);
  expect_sound();
}

TEST_F(OutsideTest, AListIsVerifiedWhole) {
  std::vector<std::string> pdus;
  std::vector<EventId> good;
  for (int i = 0; i < 300; ++i) {
    const auto event =
        far_member(bob_, UserId::trusted("@u" + std::to_string(i) + ":other"), "join");
    json::Object pdu = event->object();
    if (i % 3 == 1) pdu.set("origin_server_ts", 5);          // another id: not signed
    if (i % 3 == 2) pdu.set("room_id", "!elsewhere:other");  // nor here
    pdus.push_back(json::write(pdu));
    if (i % 3 == 0) good.push_back(event->id());
  }
  pdus.push_back(pdus[0]);
  pdus.push_back("{}");
  const auto verified = run(engine_->writer.verify_all(std::move(pdus), kRules, kFar));
  std::vector<EventId> ids;
  for (const auto& event : verified.good)
    ids.push_back(event->id());
  EXPECT_EQ(ids, good);
  EXPECT_FALSE(verified.undecided);
}

// https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms
TEST_F(OutsideTest, RestrictedJoinsNeedAConditionAndAnAuthoriser) {
  const RoomId club = create("10", "invite");
  ASSERT_TRUE(set_membership(club, alice_, carol_, "invite").ok());
  const auto restrict = [&](const RoomId& room, std::string allowed) {
    json::Array allow;
    allow.emplace_back(
        json::object({{"type", "m.room_membership"}, {"room_id", std::move(allowed)}}));
    EXPECT_TRUE(run(engine_->writer.send(
                        room, {.sender = alice_,
                               .type = "m.room.join_rules",
                               .state_key = "",
                               .content = {{"join_rule", "restricted"}, {"allow", allow}}}))
                    .ok());
  };
  const auto answer = [&](const RoomId& room) {
    const RoomReader reader(engine_->source(), *engine_->source().head(room));
    return *restricted_join(engine_->source(), reader, carol_);
  };
  const RoomId room = create("10");
  EXPECT_EQ(answer(room).join, RestrictedJoin::kNotNeeded);
  restrict(room, club.str());
  EXPECT_EQ(answer(room).join, RestrictedJoin::kRefused);
  ASSERT_TRUE(set_membership(club, carol_, carol_, "join").ok());
  EXPECT_EQ(answer(room).join, RestrictedJoin::kGranted);
  EXPECT_EQ(answer(room).authoriser, alice_);
  restrict(room, "!nowhere:other");
  EXPECT_EQ(answer(room).join, RestrictedJoin::kUnknown);
  restrict(room, club.str());
  ASSERT_TRUE(
      run(engine_->writer.send(
              room, {.sender = alice_,
                     .type = "m.room.power_levels",
                     .state_key = "",
                     .content = {{"invite", 100}, {"users", json::object({{alice_.str(), 50}})}}}))
          .ok());
  EXPECT_EQ(answer(room).join, RestrictedJoin::kNoAuthoriser);
}

json::Object stripped_event(const UserId& sender, std::string type, json::Object content) {
  return {{"type", std::move(type)},
          {"state_key", ""},
          {"sender", sender.str()},
          {"content", std::move(content)}};
}

// However much of it comes, what a user's syncs carry of an invite is little.
TEST_F(OutsideTest, WhatAnInviteTellsOfItsRoomIsBounded) {
  json::Array told;
  for (int i = 0; i < 4; ++i)
    told.emplace_back(stripped_event(bob_, "m.room.topic", {{"topic", std::string(50'000, 'x')}}));
  told.emplace_back(stripped_event(bob_, "m.room.name", {{"name", "Far"}}));
  told.emplace_back(stripped_event(bob_, "m.room.create", {{"room_version", "11"}}));
  ASSERT_TRUE(store(far_member(bob_, alice_, "invite"), std::move(told)).ok());
  const std::string shown = row(alice_)->stripped_state;
  EXPECT_LT(shown.size(), 70'000u);
  for (const char* type : {"m.room.create", "m.room.name", "m.room.topic"})
    EXPECT_NE(shown.find(type), std::string::npos) << type;
}

TEST_F(OutsideTest, OneServerLeavesRoomForTheInvitesOfOthers) {
  const auto invite_by = [&](const std::string& inviter, int number) {
    events::EventDraft draft;
    draft.room_id = RoomId::trusted("!r" + std::to_string(number) + ":other");
    draft.sender = UserId::trusted(inviter);
    draft.type = "m.room.member";
    draft.state_key = alice_.str();
    draft.content = {{"membership", "invite"}};
    draft.prev_events = {EventId::trusted("$prev")};
    draft.auth_events = {EventId::trusted("$prev")};
    draft.depth = number + 1;
    json::Object pdu = events::make_pdu(draft, kRules, "x");
    events::hash_and_sign(pdu, kRules, other_, other_key_);
    return *events::Event::parse(std::move(pdu), kRules);
  };
  size_t taken = 0;
  for (int i = 0; i < 120; ++i)
    taken += store(invite_by("@mallory:evil.example", i)).ok() ? 1 : 0;
  EXPECT_EQ(taken, 100u);
  EXPECT_TRUE(store(invite_by("@carol:good.example", 500)).ok());
}

}  // namespace
}  // namespace polder::rooms
