// Invites are declined, and knocks taken back.
#include "federation/entry/testing/entry.h"

namespace polder::entry {
namespace {

using rooms::RoomReader;

TEST_F(EntryTest, AnInviteIsDeclinedThroughItsServer) {
  for (const char* version : {"1", "11", "12"}) {
    const RoomId room = other_room(version);
    invite_alice(room);
    const Status left = run(entry_->leave({alice_, room}));
    ASSERT_TRUE(left.ok()) << left.error().message;
    EXPECT_EQ(membership(*other_engine_, room, alice_), "leave");
    EXPECT_EQ(row(room, alice_), "leave");
    EXPECT_TRUE(run(entry_->leave({alice_, room})).ok());
  }
  expect_sound();
}

TEST_F(EntryTest, AnInviteIsDeclinedEvenIfNobodyListens) {
  for (const char* version : {"1", "11", "12"}) {
    const RoomId room = other_room(version);
    invite_alice(room);
    servers_->refusal = ErrorCode::kUnavailable;
    const Status left = run(entry_->leave({alice_, room}));
    ASSERT_TRUE(left.ok()) << left.error().message;
    EXPECT_EQ(row(room, alice_), "leave");
    servers_->refusal.reset();
  }
  expect_sound();
  EXPECT_EQ(run(entry_->leave({carol_, other_room()})).error().code, ErrorCode::kForbidden);
}

TEST_F(EntryTest, WhatThePolicyRefusesIsNoLeaveEvenIfNobodyListens) {
  const RoomId room = other_room("11", "invite");
  invite_alice(room);
  stores::AccountRow deactivated;
  deactivated.deactivated = true;
  set_account(alice_, deactivated);
  for (const bool away : {false, true}) {
    if (away) servers_->refusal = ErrorCode::kUnavailable;
    EXPECT_EQ(run(entry_->leave({alice_, room})).error().errcode.view(), "M_USER_DEACTIVATED");
    EXPECT_EQ(row(room, alice_), "invite");
    EXPECT_TRUE(stores::read_late_leaves(*database_->snapshot())->empty());
  }
  EXPECT_EQ(servers_->count("leave"), 0u);
  ASSERT_TRUE(run(entry_->leave({alice_, room, {}, {}, policy::Server{own_}})).ok());
  EXPECT_EQ(row(room, alice_), "leave");
}

TEST_F(EntryTest, AKnockWaitsOutsideUntilItIsTakenBack) {
  const RoomId room = other_room("11", "knock");
  MembershipRequest knock = request(room);
  knock.content.set("reason", "please");
  const Status knocked = run(entry_->knock(knock));
  ASSERT_TRUE(knocked.ok()) << knocked.error().message;
  EXPECT_EQ(membership(*other_engine_, room, alice_), "knock");
  EXPECT_EQ(row(room, alice_), "knock");
  EXPECT_FALSE(followed(room));
  ASSERT_TRUE(run(entry_->leave({alice_, room})).ok());
  EXPECT_EQ(membership(*other_engine_, room, alice_), "leave");
  EXPECT_EQ(row(room, alice_), "leave");
  expect_sound();
}

TEST_F(EntryTest, WhoIsInvitedDoesNotKnock) {
  const RoomId room = other_room("11", "knock");
  invite_alice(room);
  EXPECT_EQ(run(entry_->knock(request(room))).error().code, ErrorCode::kForbidden);
}

// The last local member is banned while somebody knocks: then the room is another server's.
TEST_F(EntryTest, ARoomThatThisServerLeavesMeanwhileIsKnockedOnThroughOthers) {
  for (int i = 0; i < 40; ++i) {
    const RoomId room = other_room();
    ASSERT_TRUE(run(entry_->join(request(room))).ok());
    ASSERT_TRUE(bob_sets(room, "m.room.member", alice_.str(), {{"membership", "ban"}}).ok());
    const RoomReader reader(other_engine_->source(), *other_engine_->source().head(room));
    const auto ban =
        *reader.state_event(reader.head().record.state, "m.room.member", alice_.view());
    std::optional<Result<rooms::Received>> received;
    std::optional<Status> knocked;
    runtime::spawn(*runtime_, runtime_->shard(0), "ban",
                   runtime::keep(engine_->writer.receive(other_, ban), received));
    int steps = i;
    simulation_->run_until([&] { return steps-- == 0; }, Millis(1));
    runtime::spawn(*runtime_, runtime_->shard(0), "knock",
                   runtime::keep(entry_->knock(request(room)), knocked));
    ASSERT_TRUE(simulation_->run_until([&] { return received.has_value() && knocked.has_value(); },
                                       Millis(60'000)));
    EXPECT_EQ(knocked->error().code, ErrorCode::kForbidden) << knocked->error().message;
  }
}

// The user is rid of it at once; who invited learns of it later, also if this server ends between.
TEST_F(EntryTest, ADeclinedInviteIsToldAlsoOfWhoIsDeactivatedMeanwhile) {
  const RoomId room = other_room("11", "invite");
  invite_alice(room);
  servers_->refusal = ErrorCode::kUnavailable;
  ASSERT_TRUE(run(entry_->leave({alice_, room})).ok());
  stores::AccountRow deactivated;
  deactivated.deactivated = true;
  set_account(alice_, deactivated);
  servers_->refusal.reset();
  simulation_->run_for(Millis(90'000));
  EXPECT_EQ(membership(*other_engine_, room, alice_), "leave");
  EXPECT_TRUE(stores::read_late_leaves(*database_->snapshot())->empty());
}

TEST_F(EntryTest, ADeclinedInviteIsToldOnceItsServerIsBack) {
  const RoomId room = other_room("11", "invite");
  invite_alice(room);
  servers_->refusal = ErrorCode::kUnavailable;
  ASSERT_TRUE(run(entry_->leave({alice_, room})).ok());
  EXPECT_EQ(row(room, alice_), "leave");
  EXPECT_EQ(membership(*other_engine_, room, alice_), "invite");
  EXPECT_EQ(stores::read_late_leaves(*database_->snapshot())->size(), 1u);
  RoomEntry after_a_start(engine_->writer, *client_);
  ASSERT_TRUE(after_a_start.start().ok());
  simulation_->run_for(Millis(60'000));
  const auto jobs = runtime_->jobs().reports();
  const auto seen = std::ranges::find(jobs, "late leave", &runtime::JobReport::name);
  ASSERT_NE(seen, jobs.end());
  EXPECT_GT(seen->failed, 0u);
  servers_->refusal.reset();
  simulation_->run_for(Millis(300'000));
  EXPECT_EQ(membership(*other_engine_, room, alice_), "leave");
  EXPECT_TRUE(stores::read_late_leaves(*database_->snapshot())->empty());
}

}  // namespace
}  // namespace polder::entry
