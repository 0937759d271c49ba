#include "homeserver/rooms/engine/testing/engine.h"
#include "homeserver/rooms/read/reader.h"
#include "homeserver/rooms/upkeep/reclaim.h"
#include "storage/stores/check/check.h"
#include "storage/stores/rooms/purge_rows.h"

namespace polder::rooms {
namespace {

class PurgeHistoryTest : public RoomsTest {
 protected:
  EventId said(const RoomId& room, const std::string& text) {
    const auto sent = say(room, alice_, text);
    EXPECT_TRUE(sent.ok());
    return sent->id;
  }
  EventId set_topic(const RoomId& room, const std::string& topic) {
    return run(engine_->writer.send(room, {.sender = alice_,
                                           .type = "m.room.topic",
                                           .state_key = "",
                                           .content = {{"topic", topic}}}))
        ->id;
  }
  EventId redact(const RoomId& room, const EventId& target) {
    return run(engine_->writer.send(room, {.sender = alice_,
                                           .type = "m.room.redaction",
                                           .content = {{"redacts", target.str()}}}))
        ->id;
  }
  std::optional<stores::HistoryPurgeRow> row_of(const RoomId& room) {
    const auto number = *engine_->source().find(room);
    return *stores::read_history_purge(*database_->snapshot(), *number);
  }
  bool is_done(const RoomId& room) {
    const auto row = row_of(room);
    return row && row->done;
  }
  // Everything before the event, and waits for the end.
  Status purge(const RoomId& room, const EventId& up_to, bool local_too = true) {
    const auto begun =
        run(engine_->upkeep.purge_history(room, {up_to, local_too}, policy::Administrator()));
    if (!begun.ok()) return begun.error();
    EXPECT_TRUE(simulation_->run_until([&] { return is_done(room); }, Millis(600'000)));
    return {};
  }
  // What is known of an event: "" nothing, "outlier", "placed".
  std::string place_of(const EventId& id) {
    const auto snapshot = database_->snapshot();
    const auto place = *stores::find_event(*snapshot, id);
    if (!place) return "";
    return (*stores::read_event_record(*snapshot, *place))->standing.outlier ? "outlier" : "placed";
  }
  size_t rows(stores::Column column) {
    const auto walk = database_->snapshot()->iterate(column, {});
    size_t count = 0;
    for (walk->seek_to_first(); walk->valid(); walk->next())
      ++count;
    return count;
  }
  std::pair<events::EventPtr, events::EventPtr> bob_joins_and_speaks(const RoomId& room) {
    const auto joining = remote_membership(room, bob_, "join");
    EXPECT_TRUE(run(engine_->writer.receive(other_, joining)).ok());
    const auto spoken = remote_on_edge(
        room, {.sender = bob_, .type = "m.room.message", .content = {{"body", "x"}}});
    EXPECT_TRUE(run(engine_->writer.receive(other_, spoken)).ok());
    return {joining, spoken};
  }
  void check() {
    const auto report =
        stores::check_database(*database_->snapshot(), database_->last_position(), {});
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report->faults, std::vector<std::string>());
  }
};

TEST_F(PurgeHistoryTest, MessagesGoAndStateStaysWithoutItsPlace) {
  const RoomId room = create();
  const EventId topic = set_topic(room, "first");
  std::vector<EventId> ids;
  for (int i = 0; i < 300; ++i)
    ids.push_back(said(room, std::to_string(i)));
  set_topic(room, "second");
  EXPECT_GT(rows(stores::kEvents), 300u);
  ASSERT_TRUE(purge(room, ids[250]).ok());
  EXPECT_EQ(place_of(ids[0]), "");
  EXPECT_EQ(place_of(ids[249]), "");
  EXPECT_EQ(place_of(ids[250]), "placed");
  EXPECT_EQ(place_of(topic), "outlier");
  EXPECT_EQ(rows(stores::kEvents), 4 + 1 + 50 + 1u);
  EXPECT_EQ(timeline_size(room), 51u);
  check();
  // The room goes on, also after a restart.
  const auto after = say(room, alice_, "after");
  ASSERT_TRUE(after.ok());
  crash();
  EXPECT_TRUE(say(room, alice_, "again").ok());
  EXPECT_EQ(timeline_size(room), 53u);
  check();
}

TEST_F(PurgeHistoryTest, WhatThisServersUsersSaidStaysUnlessItIsToGo) {
  const RoomId room = create();
  const EventId own = said(room, "own");
  const auto [joining, theirs] = bob_joins_and_speaks(room);
  const EventId point = said(room, "point");
  ASSERT_TRUE(purge(room, point, false).ok());
  EXPECT_EQ(place_of(own), "outlier");
  EXPECT_EQ(place_of(theirs->id()), "");
  check();
}

// Other servers say what depth their events have.
TEST_F(PurgeHistoryTest, WhatCameSinceAndIsAsOldIsNoLongerAmongTheNewestOncePurged) {
  const RoomId room = create("11");
  const auto [joining, spoken] = bob_joins_and_speaks(room);
  const EventId point = said(room, "point");
  ASSERT_TRUE(purge(room, point).ok());
  events::EventDraft draft;
  draft.sender = bob_;
  draft.type = "m.room.message";
  draft.content = {{"body", "old"}};
  for (const char* type : {"m.room.create", "m.room.power_levels"})
    draft.auth_events.push_back(EventId::trusted(state(room, type, "")));
  draft.auth_events.push_back(joining->id());
  draft.prev_events = {point};
  draft.depth = 1;
  const auto old = remote_event(room, std::move(draft));
  ASSERT_EQ(run(engine_->writer.receive(other_, old))->verdict, Verdict::kAccepted);
  said(room, "after");
  ASSERT_TRUE(purge(room, point).ok());
  EXPECT_EQ(place_of(old->id()), "");
  const RoomHeadPtr head = *engine_->source().head(room);
  for (size_t limit = 1; limit < 10; ++limit) {
    const auto newest = head->recent.between(0, committer_->visible(), limit);
    if (!newest) continue;
    for (const stores::TimelineEntry& entry : *newest)
      EXPECT_TRUE(*stores::read_event_record(*database_->snapshot(), {head->number, entry.number}));
  }
}

TEST_F(PurgeHistoryTest, RedactionsOfWhatStaysStay) {
  const RoomId room = create();
  const EventId topic = set_topic(room, "regretted");
  const EventId message = said(room, "regretted too");
  const EventId of_topic = redact(room, topic);
  const EventId of_message = redact(room, message);
  const EventId point = said(room, "point");
  ASSERT_TRUE(purge(room, point).ok());
  EXPECT_EQ(place_of(of_topic), "outlier");
  EXPECT_EQ(place_of(message), "");
  EXPECT_EQ(place_of(of_message), "");
  const RoomReader reader(engine_->source(), *engine_->source().head(room));
  const auto number = *reader.view().find(topic);
  const auto held = *reader.view().load(*number);
  const auto of = *reader.reader(alice_);
  EXPECT_EQ(reader.client_event(of, *number, held, {})->find("regretted"), std::string::npos);
  check();
}

TEST_F(PurgeHistoryTest, OnlyAPointInTheRoomsHistoryWillDo) {
  const RoomId room = create();
  const RoomId other = create();
  const EventId elsewhere = said(other, "x");
  EXPECT_EQ(purge(room, elsewhere).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(purge(RoomId::trusted("!nowhere:own"), elsewhere).error().code, ErrorCode::kNotFound);
  const EventId state = EventId::trusted(this->state(room, "m.room.create", ""));
  const EventId point = said(room, "x");
  ASSERT_TRUE(purge(room, point).ok());
  EXPECT_EQ(purge(room, state).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(purge(room, said(room, "y")).ok());
  EXPECT_EQ(timeline_size(room), 1u);
  EXPECT_EQ(place_of(point), "");
  check();
}

TEST_F(PurgeHistoryTest, OtherServersAreNotAskedForItAndCannotBringItBack) {
  const RoomId room = create();
  const auto [joining, theirs] = bob_joins_and_speaks(room);
  const EventId point = said(room, "point");
  ASSERT_TRUE(purge(room, point).ok());
  remote_.history = {joining->json(), theirs->json()};
  std::vector<EventId> from(1, point);
  const auto stored = run(engine_->writer.backfill(other_, room, std::move(from), 10));
  ASSERT_TRUE(stored.ok());
  EXPECT_EQ(*stored, 0u);
  EXPECT_EQ(place_of(theirs->id()), "");
  EXPECT_EQ(place_of(joining->id()), "outlier");
  check();
}

TEST_F(PurgeHistoryTest, StatesThatNothingLeadsToAreReclaimed) {
  const RoomId room = create();
  for (int i = 0; i < 50; ++i)
    set_topic(room, std::to_string(i));
  const EventId point = said(room, "point");
  Reclaimer reclaimer(*runtime_, *database_, *committer_);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(*run(reclaimer.pass()), 0u);
  const size_t before = rows(stores::kStateNodes);
  ASSERT_TRUE(purge(room, point).ok());
  EXPECT_GT(*run(reclaimer.pass()), 30u);
  EXPECT_LT(rows(stores::kStateNodes), before - 30);
  check();
  EXPECT_TRUE(say(room, alice_, "after").ok());
}

// Whatever was not erased before the power went is erased afterwards, and in between the database
// is whole.
TEST_F(PurgeHistoryTest, ACrashAtAnyWriteIsGoneOnFrom) {
  for (size_t write = 1; write <= 8; ++write) {
    const RoomId room = create();
    std::vector<EventId> ids;
    for (int i = 0; i < 350; ++i)
      ids.push_back(said(room, std::to_string(i)));
    disk_.fail_after(write);
    const bool begun =
        run(engine_->upkeep.purge_history(room, {ids[340], true}, policy::Administrator())).ok();
    simulation_->run_for(Millis(10'000));
    crash();
    disk_.repair();
    crash();
    check();
    runtime::spawn(*runtime_, runtime_->shard(0), "finish", engine_->upkeep.finish_purges());
    simulation_->run_for(Millis(10'000));
    check();
    if (!begun && !row_of(room)) ASSERT_TRUE(purge(room, ids[340]).ok());
    EXPECT_TRUE(is_done(room)) << write;
    EXPECT_EQ(timeline_size(room), 10u) << write;
    EXPECT_TRUE(say(room, alice_, "after").ok());
  }
}

}  // namespace
}  // namespace polder::rooms
