#include "federation/sender/testing/sender.h"

namespace polder::sender {
namespace {

TEST_F(SenderTest, LocalEventsGoToTheServersInTheRoom) {
  start();
  set_room({kOwn, kB});
  send("one");
  run(1000);
  set_room({kOwn, kB, kC});
  send("two");
  run(1000);
  EXPECT_EQ(servers_->types[kB], (Types{"one", "two"}));
  EXPECT_EQ(servers_->types[kC], (Types{"two"}));
  EXPECT_FALSE(servers_->types.contains(kOwn));
}

TEST_F(SenderTest, WhatStandsInQueuesNeedsItsRowsNoMore) {
  start();
  set_room({kOwn, kB});
  servers_->failing[kB] = ErrorCode::kUnavailable;
  send("one");
  bool caught_up = false;
  runtime::spawn(*runtime_, runtime_->shard(0), "test",
                 [](Sender& sender, bool& done) -> Task<void> {
                   co_await sender.caught_up();
                   done = true;
                 }(*sender_, caught_up));
  ASSERT_TRUE(simulation_->run_until([&] { return caught_up; }, Millis(1000)));
  kv::Batch batch;
  stores::erase_room(batch, kRoom);
  for (const auto& [column, range] : stores::ranges_of_room(kRoom))
    batch.erase_range(column, range.from, range.to);
  commit(std::move(batch));
  servers_->failing.clear();
  sender_->heard_from(kB);
  run(1000);
  EXPECT_EQ(servers_->types[kB], (Types{"one"}));
}

TEST_F(SenderTest, EventsOfOthersAndUnseenOnesStayHere) {
  start();
  set_room({kOwn, kB, kC});
  store(make("@bob:b.example", "remote"));
  store(make("@alice:own.example", "soft"), {.soft_failed = true});
  store(make("@alice:own.example", "rejected"), {.rejected = true});
  store(make("@alice:own.example", "old"), {.backfilled = true});
  run(5000);
  EXPECT_EQ(servers_->calls, 0);
}

TEST_F(SenderTest, AMembershipThatCameByThisServerIsPassedOn) {
  start();
  set_room({kOwn, kB, kC});
  const EventId join = join_by_way_of_own_server();
  run(5000);
  EXPECT_EQ(servers_->types[kC], (Types{"m.room.member"}));
  EXPECT_FALSE(servers_->types.contains(kB));
  EXPECT_FALSE(*stores::is_forward(*database_->snapshot(), join));
}

TEST_F(SenderTest, AMembershipThatIsStillToBePassedOnOutlivesACrash) {
  start();
  set_room({kOwn, kB, kC});
  servers_->failing[kC] = ErrorCode::kUnavailable;
  join_by_way_of_own_server();
  run(5000);
  halt();
  boot();
  start();
  run(5000);
  EXPECT_EQ(servers_->types[kC], (Types{"m.room.member"}));
}

TEST_F(SenderTest, APassedOnMembershipSurvivesAPowerCutOnce) {
  set_room({kOwn, kB, kC});
  join_by_way_of_own_server();
  halt();
  disk_.power_loss();
  boot();
  start();
  run(5000);
  EXPECT_EQ(servers_->types[kC], (Types{"m.room.member"}));
  EXPECT_TRUE(stores::read_forwards(*database_->snapshot())->empty());
}

// Also where nobody is in the room; a server that has nothing to lose there is told nothing.
TEST_F(SenderTest, WhoseInviteOrKnockEndsLearnsOfIt) {
  struct Case {
    std::string before;
    std::string after;
    bool told;
  };
  start();
  set_room({kOwn});
  for (const Case& c : std::vector<Case>{{"invite", "leave", true},
                                         {"invite", "ban", true},
                                         {"knock", "leave", true},
                                         {"knock", "ban", true},
                                         {"invite", "invite", false},
                                         {"knock", "invite", false},
                                         {"ban", "leave", false},
                                         {"leave", "ban", false},
                                         {"", "ban", false}}) {
    servers_->types.clear();
    members_ = {};
    if (!c.before.empty()) set_member("@bob:b.example", c.before);
    const Made end = make("@alice:own.example", "m.room.member", "@bob:b.example",
                          {{"membership", c.after}, {"was", c.before}});
    store(end, {}, members_);
    run(1000);
    EXPECT_EQ(servers_->types.contains(kB), c.told) << c.before << " " << c.after;
    EXPECT_FALSE(servers_->types.contains(kC));
  }
}

TEST_F(SenderTest, TransactionsAreBoundedAndOneAtATime) {
  set_room({kOwn, kB});
  for (int i = 0; i < 130; ++i)
    send("e" + std::to_string(i));
  start();
  run(5000);
  ASSERT_EQ(servers_->types[kB].size(), 130u);
  for (size_t i = 0; i < 130; ++i)
    EXPECT_EQ(servers_->types[kB][i], "e" + std::to_string(i));
  EXPECT_LE(servers_->largest[kB], wire::kPdusMax);
  EXPECT_EQ(servers_->most_under_way, 1u);
}

TEST_F(SenderTest, SourcesAreEmptiedInOrderAlsoDuringABacklog) {
  source_.pending[kB] = Types(150, "m.direct_to_device");
  start();
  run(5000);
  EXPECT_EQ(servers_->edus[kB].size(), 150u);
  EXPECT_EQ(servers_->calls, 2);
  source_.pending[kB] = {"m.device_list_update"};
  servers_->failing[kB] = ErrorCode::kUnavailable;
  sender_->wake({kB, kOwn});
  run(1000);
  EXPECT_EQ(source_.pending[kB].size(), 1u);
  servers_->failing.clear();
  sender_->heard_from(kB);
  run(1000);
  EXPECT_TRUE(source_.pending[kB].empty());
  EXPECT_EQ(servers_->edus[kB].back(), "m.device_list_update");
}

TEST_F(SenderTest, ASourceThatCannotBeReadIsReadAgain) {
  source_.failing = true;
  source_.pending[kB] = {"m.direct_to_device"};
  start();
  run(60'000);
  EXPECT_EQ(servers_->calls, 0);
  EXPECT_GT(source_.asked, 10);
  EXPECT_LT(source_.asked, 100) << "a damaged row must not keep the server busy";
  source_.failing = false;
  run(2000);
  EXPECT_EQ(servers_->edus[kB], Types{"m.direct_to_device"});
  // Nor does it hold up what can be read.
  source_.failing = true;
  set_room({kB});
  send("m.room.message");
  run(2000);
  EXPECT_EQ(servers_->types[kB], Types{"m.room.message"});
}

TEST_F(SenderTest, ShortLivedDataReplacesOlderAndExpires) {
  start();
  servers_->failing[kB] = ErrorCode::kUnavailable;
  const auto receipt = [](Millis keep) {
    return ShortLivedEdu{{"m.receipt", {}}, "receipt", keep};
  };
  sender_->send_short_lived({kB}, receipt(Millis(3'600'000)));
  run(100);
  sender_->send_short_lived({kB}, receipt(Millis(3'600'000)));
  sender_->send_short_lived({kB}, {{"m.typing", {}}, "", Millis(30'000)});
  run(60'000);
  servers_->failing.clear();
  sender_->heard_from(kB);
  run(1000);
  EXPECT_EQ(servers_->edus[kB], (Types{"m.receipt"}));
}

// The same by every way of reading: the whole state, and its difference from another one.
TEST_F(SenderTest, ServersAreThoseJoinedAtTheState) {
  std::vector<stores::StateRoot> roots = {{}};
  const auto member = [&](const std::string& user, const std::string& membership) {
    set_member(user, membership);
    roots.push_back(members_);
  };
  member("@a:own.example", "join");
  member("@b:b.example", "join");
  member("@b2:b.example", "join");
  member("@c:c.example", "invite");
  member("@b:b.example", "leave");
  member("@b2:b.example", "ban");
  member("@c:c.example", "join");
  const std::vector<ServerSet> expected = {{},         {kOwn},     {kOwn, kB}, {kOwn, kB},
                                           {kOwn, kB}, {kOwn, kB}, {kOwn},     {kOwn, kC}};
  const auto snapshot = database_->snapshot();
  RoomServers stepwise(*names_, nodes_);
  for (size_t i = 0; i < roots.size(); ++i) {
    RoomServers fresh(*names_, nodes_);
    EXPECT_EQ(*fresh.at(*snapshot, kRoom, roots[i]), expected[i]) << i;
    EXPECT_EQ(*stepwise.at(*snapshot, kRoom, roots[i]), expected[i]) << i;
  }
  for (size_t i = roots.size(); i-- > 0;)
    EXPECT_EQ(*stepwise.at(*snapshot, kRoom, roots[i]), expected[i]) << i;
}

}  // namespace
}  // namespace polder::sender
