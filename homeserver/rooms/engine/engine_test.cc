#include "homeserver/rooms/engine/testing/engine.h"
#include "storage/stores/check/check.h"
#include "storage/stores/rooms/relation_rows.h"

namespace polder::rooms {
namespace {

TEST_F(RoomsTest, ARoomOfEveryVersionIsCreatedAndSpokenIn) {
  for (const auto& rules : events::room_versions()) {
    const RoomId room = create(rules.id);
    EXPECT_EQ(room.server().has_value(), !rules.room_id_is_create_hash);
    const auto sent = say(room, alice_, "hello");
    ASSERT_TRUE(sent.ok()) << rules.id << sent.error().message;
    EXPECT_EQ(timeline_size(room), 5u);
    const RoomHeadPtr head = *engine_->source().head(room);
    EXPECT_EQ(head->record.joined, 1u);
    EXPECT_EQ(head->last, sent->position);
    EXPECT_TRUE(head->record.local_joined);
  }
}

TEST_F(RoomsTest, RefusalsAreErrorsAndStoreNothing) {
  const RoomId room = create();
  const auto refused = say(room, carol_, "not a member");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kForbidden);
  EXPECT_EQ(timeline_size(room), 4u);
  EXPECT_TRUE(set_membership(room, carol_, carol_, "join").ok());
  EXPECT_TRUE(say(room, carol_, "member").ok());
  EXPECT_FALSE(set_membership(room, carol_, alice_, "ban").ok());
  EXPECT_TRUE(set_membership(room, alice_, carol_, "ban").ok());
  EXPECT_FALSE(say(room, carol_, "banned").ok());
  EXPECT_EQ((*engine_->source().head(room))->record.joined, 1u);
  EXPECT_EQ(say(RoomId::trusted("!no:own"), alice_, "x").error().code, ErrorCode::kForbidden);
}

TEST_F(RoomsTest, ARefusedRoomLeavesNothing) {
  auto events = new_room("12", "public");
  events.push_back({.sender = carol_, .type = "m.room.message"});
  const auto room =
      run(engine_->writer.create(*events::find_room_version("12"), std::move(events)));
  EXPECT_FALSE(room.ok());
  EXPECT_TRUE(stores::for_each_room(*database_->snapshot(),
                                    [](RoomNumber, const stores::RoomRecord&) -> Status {
                                      return fail(ErrorCode::kInternal, "a room was left");
                                    })
                  .ok());
}

TEST_F(RoomsTest, WhatWasAcknowledgedSurvivesPowerLoss) {
  const RoomId room = create();
  std::vector<EventId> sent;
  for (int i = 0; i < 20; ++i)
    sent.push_back(say(room, alice_, std::to_string(i))->id);
  crash();
  for (const EventId& id : sent)
    EXPECT_TRUE(stores::find_event(*database_->snapshot(), id)->has_value());
  EXPECT_EQ(timeline_size(room), 24u);
  EXPECT_TRUE(say(room, alice_, "again").ok());
  const auto report = stores::check_database(*database_->snapshot());
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->faults, std::vector<std::string>{});
  EXPECT_EQ(report->events, 25u);
}

TEST_F(RoomsTest, ManyAtOnceFormALine) {
  const RoomId room = create();
  size_t done = 0;
  for (int i = 0; i < 50; ++i) {
    runtime::spawn(*runtime_, runtime_->shard(0), "send",
                   [](RoomEngine& engine, RoomId id, UserId user, size_t& count) -> Task<void> {
                     const auto sent = co_await engine.writer.send(
                         id, {.sender = user, .type = "m.room.message"});
                     EXPECT_TRUE(sent.ok());
                     ++count;
                   }(*engine_, room, alice_, done));
  }
  ASSERT_TRUE(simulation_->run_until([&] { return done == 50; }, Millis(60'000)));
  EXPECT_EQ((*engine_->source().head(room))->record.extremities.size(), 1u);
  EXPECT_EQ(timeline_size(room), 54u);
}

TEST_F(RoomsTest, RoomsThatWereLetGoAreReadAgain) {
  constexpr size_t kHeld = 1;
  constexpr size_t kRooms = 5;
  constexpr size_t kRounds = 3;
  EngineParts parts{*runtime_, *database_, *committer_, *names_, own_, key_, keys_, remote_};
  parts.rooms_held = kHeld;
  engine_ = std::make_unique<RoomEngine>(parts);
  std::vector<RoomId> rooms;
  for (size_t i = 0; i < kRooms; ++i)
    rooms.push_back(create());
  const size_t before = timeline_size(rooms[0]);
  for (size_t round = 0; round < kRounds; ++round) {
    for (const RoomId& room : rooms)
      ASSERT_TRUE(say(room, alice_, "again").ok());
  }
  for (const RoomId& room : rooms)
    EXPECT_EQ(timeline_size(room), before + kRounds);
}

TEST_F(RoomsTest, ARemoteUserJoinsAndSpeaks) {
  for (const char* version : {"1", "6", "10", "11", "12"}) {
    const RoomId room = create(version);
    const auto join = remote_membership(room, bob_, "join");
    const auto joined = run(engine_->writer.receive(other_, join));
    ASSERT_TRUE(joined.ok()) << version << joined.error().message;
    EXPECT_EQ(joined->verdict, Verdict::kAccepted) << joined->refusal;
    EXPECT_EQ((*engine_->source().head(room))->record.joined, 2u);
    EXPECT_EQ((*engine_->source().head(room))->servers->size(), 2u);
    const auto message = remote_on_edge(
        room, {.sender = bob_, .type = "m.room.message", .content = {{"body", "hi"}}});
    EXPECT_EQ(run(engine_->writer.receive(other_, message))->verdict, Verdict::kAccepted);
    EXPECT_TRUE(run(engine_->writer.receive(other_, message))->known);
    EXPECT_EQ(timeline_size(room), 6u);
  }
}

TEST_F(RoomsTest, ARedactionThatComesFirstAppliesOnceItsTargetIsThere) {
  for (const bool own_message : {true, false}) {
    const RoomId room = create("11");
    EXPECT_TRUE(set_membership(room, carol_, carol_, "join").ok());
    const auto join = remote_membership(room, bob_, "join");
    ASSERT_EQ(run(engine_->writer.receive(other_, join))->verdict, Verdict::kAccepted);
    const auto target = remote_on_edge(
        room, {.sender = bob_, .type = "m.room.message", .content = {{"body", "oops"}}});
    // Who has not the power to redact others' events sends no redaction of what is not known.
    const UserId redactor = own_message ? bob_ : carol_;
    LocalEvent redaction{.sender = redactor, .type = "m.room.redaction", .redacts = target->id()};
    if (own_message) {
      EXPECT_EQ(run(engine_->writer.receive(other_, remote_on_edge(room, redaction)))->verdict,
                Verdict::kAccepted);
    } else {
      EXPECT_EQ(run(engine_->writer.send(room, redaction)).error().code, ErrorCode::kNotFound);
    }
    ASSERT_EQ(run(engine_->writer.receive(other_, target))->verdict, Verdict::kAccepted);
    const auto snapshot = database_->snapshot();
    const auto place = *stores::find_event(*snapshot, target->id());
    EXPECT_EQ(stores::read_redaction(*snapshot, *place)->has_value(), own_message);
  }
}

TEST_F(RoomsTest, OfSeveralRedactionsThatCameFirstOneThatMayApplies) {
  const ServerName third = ServerName::trusted("third");
  const UserId eve = UserId::trusted("@eve:third");
  keys_.add(third, other_key_);
  const auto by_eve = [&](const RoomId& room, LocalEvent event) {
    event.sender = eve;
    const auto unsigned_by_her = remote_on_edge(room, std::move(event));
    json::Object pdu = unsigned_by_her->object();
    pdu.erase("signatures");
    events::hash_and_sign(pdu, unsigned_by_her->rules(), third, other_key_);
    return *events::Event::parse(std::move(pdu), unsigned_by_her->rules());
  };
  for (const bool valid_first : {true, false}) {
    const RoomId room = create("11");
    const auto entry = by_eve(room, {.sender = eve,
                                     .type = "m.room.member",
                                     .state_key = eve.str(),
                                     .content = {{"membership", "join"}}});
    ASSERT_EQ(run(engine_->writer.receive(third, entry))->verdict, Verdict::kAccepted);
    const auto join = remote_membership(room, bob_, "join");
    ASSERT_EQ(run(engine_->writer.receive(other_, join))->verdict, Verdict::kAccepted);
    const auto target = remote_on_edge(
        room, {.sender = bob_, .type = "m.room.message", .content = {{"body", "oops"}}});
    for (const bool valid : {valid_first, !valid_first}) {
      LocalEvent redaction{.sender = alice_, .type = "m.room.redaction", .redacts = target->id()};
      if (valid) {
        EXPECT_TRUE(run(engine_->writer.send(room, std::move(redaction))).ok());
      } else {
        EXPECT_EQ(run(engine_->writer.receive(third, by_eve(room, std::move(redaction))))->verdict,
                  Verdict::kAccepted);
      }
    }
    ASSERT_EQ(run(engine_->writer.receive(other_, target))->verdict, Verdict::kAccepted);
    const auto snapshot = database_->snapshot();
    const auto place = *stores::find_event(*snapshot, target->id());
    EXPECT_TRUE(stores::read_redaction(*snapshot, *place)->has_value()) << valid_first;
  }
}

TEST_F(RoomsTest, AnEventFromSeveralServersAtOnceIsStoredOnce) {
  const RoomId room = create();
  const auto join = remote_membership(room, bob_, "join");
  size_t done = 0;
  size_t fresh = 0;
  for (int i = 0; i < 5; ++i) {
    runtime::spawn(*runtime_, runtime_->shard(0), "receive",
                   [](RoomEngine& engine, ServerName from, events::EventPtr event, size_t& count,
                      size_t& news) -> Task<void> {
                     const auto received = co_await engine.writer.receive(from, event);
                     EXPECT_TRUE(received.ok());
                     if (!received->known) ++news;
                     ++count;
                   }(*engine_, other_, join, done, fresh));
  }
  ASSERT_TRUE(simulation_->run_until([&] { return done == 5; }, Millis(60'000)));
  EXPECT_EQ(fresh, 1u);
  EXPECT_EQ(timeline_size(room), 5u);
}

TEST_F(RoomsTest, UnsignedForgedAndAlteredEventsAreRefused) {
  const RoomId room = create();
  const auto join = remote_membership(room, bob_, "join");
  json::Object forged = join->object();
  forged.set("signatures", json::Object());
  const auto unsigned_event =
      run(engine_->writer.receive(other_, *events::Event::parse(forged, join->rules())));
  EXPECT_EQ(unsigned_event.error().code, ErrorCode::kBadSignature);
  forged = join->object();
  forged.set("origin_server_ts", 5);
  EXPECT_FALSE(
      run(engine_->writer.receive(other_, *events::Event::parse(forged, join->rules()))).ok());
  EXPECT_EQ(timeline_size(room), 4u);
  // A content that does not match its hash is redacted, and what redaction keeps still counts.
  forged = join->object();
  forged.find("content")->as_object()->set("displayname", "altered");
  const auto redacted =
      run(engine_->writer.receive(other_, *events::Event::parse(forged, join->rules())));
  ASSERT_TRUE(redacted.ok()) << redacted.error().message;
  EXPECT_EQ(redacted->verdict, Verdict::kAccepted);
}

TEST_F(RoomsTest, AnEventAgainstItsPastIsRejectedAndOneAgainstThePresentSoftFails) {
  const RoomId room = create();
  const UserId dan = UserId::trusted("@dan:" + other_.str());
  for (const UserId& user : {bob_, dan}) {
    const auto join = remote_membership(room, user, "join");
    ASSERT_EQ(run(engine_->writer.receive(other_, join))->verdict, Verdict::kAccepted);
  }
  const auto says = [&](const char* body) {
    return remote_on_edge(room,
                          {.sender = bob_, .type = "m.room.message", .content = {{"body", body}}});
  };
  const auto stored = [&](const events::EventPtr& event) {
    return stores::find_event(*database_->snapshot(), event->id())->has_value();
  };
  const auto before_ban = says("late");
  const auto later = says("later");
  ASSERT_TRUE(set_membership(room, alice_, bob_, "ban").ok());
  const auto late = run(engine_->writer.receive(other_, before_ban));
  ASSERT_TRUE(late.ok());
  EXPECT_EQ(late->verdict, Verdict::kSoftFailed);
  EXPECT_TRUE(stored(before_ban));
  const auto after_ban = says("x");
  EXPECT_EQ(run(engine_->writer.receive(other_, after_ban))->verdict, Verdict::kRejected);
  EXPECT_TRUE(stored(after_ban));
  EXPECT_EQ(timeline_size(room), 7u);
  // Once nobody of that server is in the room, nothing is kept of what is refused.
  ASSERT_TRUE(set_membership(room, alice_, dan, "ban").ok());
  EXPECT_NE(run(engine_->writer.receive(other_, later))->verdict, Verdict::kAccepted);
  EXPECT_FALSE(stored(later));
  const auto after_bans = says("y");
  EXPECT_EQ(run(engine_->writer.receive(other_, after_bans))->verdict, Verdict::kRejected);
  EXPECT_FALSE(stored(after_bans));
}

TEST_F(RoomsTest, AForkResolvesTheSameInEitherOrder) {
  std::vector<std::string> outcomes;
  for (const bool swapped : {false, true}) {
    crash();
    const RoomId room = create("11");
    const auto join = remote_membership(room, bob_, "join");
    ASSERT_EQ(run(engine_->writer.receive(other_, join))->verdict, Verdict::kAccepted);
    ASSERT_TRUE(
        run(engine_->writer.send(
                room,
                {.sender = alice_,
                 .type = "m.room.power_levels",
                 .state_key = "",
                 .content = {{"users", json::object({{alice_.str(), 100}, {bob_.str(), 50}})}}}))
            .ok());
    const auto first = remote_on_edge(
        room,
        {.sender = bob_, .type = "m.room.topic", .state_key = "", .content = {{"topic", "one"}}});
    const auto second = remote_on_edge(
        room,
        {.sender = bob_, .type = "m.room.topic", .state_key = "", .content = {{"topic", "two"}}});
    EXPECT_EQ(run(engine_->writer.receive(other_, swapped ? second : first))->verdict,
              Verdict::kAccepted);
    EXPECT_EQ(run(engine_->writer.receive(other_, swapped ? first : second))->verdict,
              Verdict::kAccepted);
    EXPECT_EQ((*engine_->source().head(room))->record.extremities.size(), 2u);
    const std::string topic = state(room, "m.room.topic", "");
    // The later of the two by (origin_server_ts, event id) is applied last.
    const bool first_wins = std::pair(first->origin_server_ts(), first->id().view()) >
                            std::pair(second->origin_server_ts(), second->id().view());
    EXPECT_EQ(topic, (first_wins ? first : second)->id().str());
    ASSERT_TRUE(say(room, alice_, "merge").ok());
    EXPECT_EQ((*engine_->source().head(room))->record.extremities.size(), 1u);
    EXPECT_EQ(state(room, "m.room.topic", ""), topic);
  }
}

TEST_F(RoomsTest, MissingEventsAreFetched) {
  const RoomId room = create();
  const auto join = remote_membership(room, bob_, "join");
  ASSERT_EQ(run(engine_->writer.receive(other_, join))->verdict, Verdict::kAccepted);
  const auto first =
      remote_on_edge(room, {.sender = bob_, .type = "m.room.message", .content = {{"body", "1"}}});
  events::EventDraft draft;
  draft.sender = bob_;
  draft.type = "m.room.message";
  draft.prev_events.push_back(first->id());
  draft.auth_events = first->auth_events();
  draft.depth = first->depth() + 1;
  draft.origin_server_ts = 1;
  const auto second = remote_event(room, draft);
  remote_.missing.push_back(first->json());
  const auto received = run(engine_->writer.receive(other_, second));
  ASSERT_TRUE(received.ok()) << received.error().message;
  EXPECT_EQ(received->verdict, Verdict::kAccepted);
  EXPECT_EQ(timeline_size(room), 7u);
  EXPECT_EQ((*engine_->source().head(room))->record.extremities.size(), 1u);
}

TEST_F(RoomsTest, WithoutMissingEventsTheStateIsFetched) {
  const RoomId room = create();
  const auto join = remote_membership(room, bob_, "join");
  ASSERT_EQ(run(engine_->writer.receive(other_, join))->verdict, Verdict::kAccepted);
  const auto first =
      remote_on_edge(room, {.sender = bob_, .type = "m.room.message", .content = {{"body", "1"}}});
  events::EventDraft draft;
  draft.sender = bob_;
  draft.type = "m.room.message";
  draft.prev_events.push_back(first->id());
  draft.auth_events = first->auth_events();
  draft.depth = first->depth() + 1;
  const auto second = remote_event(room, draft);
  EXPECT_FALSE(run(engine_->writer.receive(other_, second)).ok());
  RemoteStateIds ids;
  for (const auto& [type, key] :
       std::vector<std::pair<std::string, std::string>>{{"m.room.create", ""},
                                                        {"m.room.member", alice_.str()},
                                                        {"m.room.member", bob_.str()},
                                                        {"m.room.power_levels", ""},
                                                        {"m.room.join_rules", ""}}) {
    ids.state.push_back(EventId::trusted(state(room, type, key)));
  }
  remote_.states.emplace(second->id(), ids);
  const auto received = run(engine_->writer.receive(other_, second));
  ASSERT_TRUE(received.ok()) << received.error().message;
  EXPECT_EQ(received->verdict, Verdict::kAccepted) << received->refusal;
}

TEST_F(RoomsTest, AFailingDiskStopsWritesAndLosesNothingAcknowledged) {
  const RoomId room = create();
  const EventId kept = say(room, alice_, "kept")->id;
  disk_.fail_after(1);
  EXPECT_EQ(say(room, alice_, "lost").error().code, ErrorCode::kReadOnly);
  EXPECT_EQ(say(room, alice_, "refused").error().code, ErrorCode::kReadOnly);
  ASSERT_TRUE(database_->resume().ok());
  const auto after = say(room, alice_, "after");
  ASSERT_TRUE(after.ok()) << after.error().message;
  EXPECT_TRUE(stores::find_event(*database_->snapshot(), kept)->has_value());
  EXPECT_EQ(timeline_size(room), 6u);
}

}  // namespace
}  // namespace polder::rooms
