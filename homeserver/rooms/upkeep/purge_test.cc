#include "homeserver/rooms/engine/testing/engine.h"
#include "storage/stores/base/testing/sample_rows.h"
#include "storage/stores/check/check.h"
#include "storage/stores/rooms/purge_rows.h"

namespace polder::rooms {
namespace {

class PurgeTest : public RoomsTest {
 protected:
  // A room that everybody has left, with some history.
  RoomId abandoned() {
    const RoomId room = create();
    for (int i = 0; i < 300; ++i)
      EXPECT_TRUE(say(room, alice_, "message " + std::to_string(i)).ok());
    EXPECT_TRUE(set_membership(room, carol_, carol_, "join").ok());
    EXPECT_TRUE(set_membership(room, carol_, carol_, "leave").ok());
    EXPECT_TRUE(set_membership(room, alice_, alice_, "leave").ok());
    return room;
  }
  std::optional<stores::MembershipRow> membership(const RoomId& room, const UserId& user) {
    const auto user_number = *names_->find(stores::NameKind::kUser, user.view());
    const auto room_number = *engine_->source().find(room);
    return *stores::read_membership(*database_->snapshot(), *user_number, *room_number);
  }
  Status purge(const RoomId& room) {
    return run(engine_->upkeep.purge(room, policy::Administrator()));
  }
  Task<bool> finish() {
    co_await engine_->upkeep.finish_purges();
    co_return true;
  }
  size_t rows() {
    const auto snapshot = database_->snapshot();
    size_t count = 0;
    for (const stores::Column column :
         {stores::kEvents, stores::kEventRecords, stores::kEventIds, stores::kTimelines,
          stores::kStateNodes, stores::kMemberships, stores::kRelations, stores::kStreams}) {
      const auto walk = snapshot->iterate(column, {});
      for (walk->seek_to_first(); walk->valid(); walk->next())
        ++count;
    }
    return count;
  }
  // The kinds of which the room has rows.
  std::set<std::string_view> kinds_of(RoomNumber room) {
    std::set<std::string_view> kinds;
    const auto snapshot = database_->snapshot();
    for (const stores::RowKind& kind : stores::kRowKinds) {
      if (kind.owner != stores::Owner::kRoom) continue;
      keys::KeyWriter prefix;
      if (kind.tag != stores::kUntagged) prefix.u8(kind.tag);
      const auto rows = snapshot->iterate(kind.column, kv::prefix_range(prefix.u64(room)));
      rows->seek_to_first();
      if (rows->valid()) kinds.insert(kind.name);
    }
    return kinds;
  }
  void check() {
    const auto report =
        stores::check_database(*database_->snapshot(), database_->last_position(), {});
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report->faults, std::vector<std::string>());
  }
};

// Of an abandoned room that was purged: that alice and carol are out of it.
constexpr size_t kRowsThatStay = 2;

TEST_F(PurgeTest, NothingIsLeftAndOtherRoomsStay) {
  const RoomId other = create();
  ASSERT_TRUE(say(other, alice_, "here").ok());
  const size_t before = rows();
  const RoomId room = abandoned();
  EXPECT_GT(rows(), before + 300);
  const Status purged = purge(room);
  ASSERT_TRUE(purged.ok()) << purged.error().message;
  EXPECT_EQ(rows(), before + kRowsThatStay);
  EXPECT_EQ(*engine_->source().head(room), nullptr);
  check();
  EXPECT_TRUE(say(other, alice_, "still here").ok());
  EXPECT_EQ(purge(room).error().code, ErrorCode::kNotFound);
  crash();
  EXPECT_EQ(*engine_->source().head(room), nullptr);
  EXPECT_EQ(say(room, alice_, "gone").error().code, ErrorCode::kForbidden);
}

// Of kinds that the room has no row of, one is made by what the table says of its key.
TEST_F(PurgeTest, NoKindOfRowOfARoomIsLeft) {
  const RoomId room = abandoned();
  const RoomNumber number = (*engine_->source().head(room))->number;
  const auto had = kinds_of(number);
  kv::Batch batch;
  for (const stores::RowKind& kind : stores::kRowKinds) {
    const bool made = kind.owner == stores::Owner::kRoom && kind.row != stores::Row::kPurge;
    if (made && !had.contains(kind.name))
      batch.put(kind.column, stores::sample_key(kind, number), stores::sample_value(kind));
  }
  const kv::Batch* one = &batch;
  ASSERT_TRUE(database_->write({&one, 1}, database_->last_position() + 1, true).ok());
  EXPECT_GT(kinds_of(number).size(), had.size());
  ASSERT_TRUE(purge(room).ok());
  EXPECT_EQ(kinds_of(number), (std::set<std::string_view>{"purge"}));
}

// Their clients are told, also those that come much later; nobody is told more than that.
TEST_F(PurgeTest, LocalUsersAreOutOfIt) {
  const UserId dora = UserId::trusted("@dora:own"), erin = UserId::trusted("@erin:own");
  const UserId frank = UserId::trusted("@frank:own");
  const RoomId room = create();
  ASSERT_TRUE(set_membership(room, carol_, carol_, "join").ok());
  ASSERT_TRUE(
      run(engine_->writer.send(room, {.sender = carol_,
                                      .type = "m.room.member",
                                      .state_key = carol_.str(),
                                      .content = {{"membership", "leave"}, {"reason", "SECRET"}}}))
          .ok());
  ASSERT_TRUE(set_membership(room, alice_, dora, "invite").ok());
  ASSERT_TRUE(set_membership(room, alice_, erin, "ban").ok());
  ASSERT_TRUE(set_membership(room, alice_, alice_, "leave").ok());
  events::EventDraft invite{.sender = bob_, .type = "m.room.member", .state_key = frank.str()};
  invite.content.set("membership", "invite");
  ASSERT_TRUE(run(engine_->writer.store_outside_membership(*events::find_room_version("12"),
                                                           remote_event(room, invite), {}))
                  .ok());
  const kv::Position before = committer_->visible();
  struct Case {
    UserId user;
    std::optional<stores::MembershipRow> was;
    stores::Membership membership;
    bool ends_now;
  };
  const std::vector<Case> cases = {
      {alice_, membership(room, alice_), stores::Membership::kLeave, false},
      {carol_, membership(room, carol_), stores::Membership::kLeave, false},
      {erin, membership(room, erin), stores::Membership::kBan, false},
      {dora, membership(room, dora), stores::Membership::kLeave, true},
      {frank, membership(room, frank), stores::Membership::kLeave, true}};
  ASSERT_TRUE(purge(room).ok());
  check();
  for (const Case& c : cases) {
    const auto row = membership(room, c.user);
    ASSERT_TRUE(row && c.was) << c.user.view();
    EXPECT_EQ(row->membership, c.membership) << c.user.view();
    EXPECT_TRUE(row->forgotten && row->event == 0 && row->asked_by == EventId()) << c.user.view();
    EXPECT_EQ(row->position > before, c.ends_now) << c.user.view();
    if (!c.ends_now) EXPECT_EQ(row->position, c.was->position) << c.user.view();
    EXPECT_EQ(row->stripped_state.find("SECRET"), std::string::npos);
    EXPECT_EQ(row->stripped_state.empty(), c.ends_now) << c.user.view();
  }
}

TEST_F(PurgeTest, ARoomWithLocalUsersStays) {
  const RoomId room = create();
  EXPECT_EQ(purge(room).error().code, ErrorCode::kForbidden);
  EXPECT_TRUE(say(room, alice_, "here").ok());
  EXPECT_EQ(purge(RoomId::trusted("!nowhere:own")).error().code, ErrorCode::kNotFound);
}

// Whatever was not erased before the power went is erased afterwards; until then the check knows.
TEST_F(PurgeTest, ACrashAtAnyWriteIsGoneOnFrom) {
  const size_t before = rows();
  std::set<std::string> purged;  // one is made again where the clock is the same after a crash
  for (size_t write = 1; write <= 5; ++write) {
    const RoomId room = abandoned();
    purged.insert(room.str());
    disk_.fail_after(write);
    const bool whole = purge(room).ok();
    crash();
    disk_.repair();
    crash();
    check();
    EXPECT_TRUE(run(finish()));
    check();
    if (*engine_->source().head(room) != nullptr) ASSERT_TRUE(purge(room).ok());
    EXPECT_EQ(rows(), before + purged.size() * kRowsThatStay) << write;
    if (whole) break;
  }
}

TEST_F(PurgeTest, NumbersAreNotGivenAgain) {
  const RoomId room = abandoned();
  const RoomNumber number = (*engine_->source().head(room))->number;
  const auto before = (*engine_->source().head(room))->record;
  ASSERT_TRUE(purge(room).ok());
  const auto row = *stores::read_purge(*database_->snapshot(), number);
  ASSERT_TRUE(row);
  EXPECT_TRUE(row->done);
  EXPECT_EQ(row->last_event, before.last_event);
  EXPECT_EQ(row->last_node, before.last_node);
}

}  // namespace
}  // namespace polder::rooms
