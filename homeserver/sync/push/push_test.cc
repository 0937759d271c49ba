#include "homeserver/sync/push/testing/push.h"

namespace polder::push {
namespace {

TEST_F(PushTest, MessagesOfOthersCountUntilTheyAreRead) {
  room_ = create_room();
  say(alice_, "before bob came");
  join(bob_);
  expect(bob_, 0, 0, "joined");
  const EventId first = say(alice_, "one");
  const EventId second = say(alice_, "two");
  send(alice_, "m.room.encrypted", {});
  send(alice_, "m.reaction", {});
  send(alice_, "m.room.topic", {{"topic", "t"}}, "");
  say(alice_, "not worth it", R"({"msgtype": "m.notice"})");
  expect(bob_, 3, 0, "two messages and an encrypted one");
  expect(alice_, 0, 0, "own");
  read(bob_, first);
  expect(bob_, 2, 0, "read the first");
  // The one that is further ahead counts, and nothing goes back.
  read(bob_, second, "", "m.read.private");
  expect(bob_, 1, 0, "read the second in private");
  read(bob_, first, "", "m.read.private");
  read(bob_, second);
  expect(bob_, 1, 0, "the private one went back");
  read(bob_, EventId::trusted("$unknown"), "main");
  expect(bob_, 1, 0, "nobody knows what was read");
  // Sending is reading.
  say(bob_, "hello");
  expect(bob_, 0, 0, "answered");
  expect(alice_, 1, 0, "was answered");
  crash();
  expect(alice_, 1, 0, "after a crash");
  say(bob_, "hello?");
  expect(alice_, 2, 0, "numbers go on");
  send(alice_, "m.room.member", {{"membership", "join"}, {"displayname", "A"}}, alice_.str());
  expect(alice_, 2, 0, "a new name reads nothing");
}

TEST_F(PushTest, WhatWasPurgedIsNotUnread) {
  room_ = create_room();
  join(bob_);
  for (int i = 0; i < 5; ++i)
    say(alice_, "old");
  const EventId topic = send(alice_, "m.room.topic", {{"topic", "t"}}, "");
  expect(bob_, 5, 0, "not read");
  const auto begun =
      run(engine_->upkeep.purge_history(room_, {topic, true}, policy::Administrator()));
  ASSERT_TRUE(begun.ok());
  const auto done = [&] {
    const auto purged = engine_->upkeep.is_history_purged(room_, *begun);
    return purged.ok() && *purged && **purged;
  };
  ASSERT_TRUE(simulation_->run_until(done, Millis(60'000)));
  expect(bob_, 0, 0, "purged");
  send(alice_, "m.room.topic", {{"topic", "another"}}, "");
  expect(bob_, 0, 0, "what came since does not notify");
  say(alice_, "new");
  expect(bob_, 1, 0, "and this does");
}

TEST_F(PushTest, MentionsHighlightForWhoIsMeant) {
  room_ = create_room();
  join(bob_);
  join(carol_);
  constexpr std::string_view kBob = R"({"m.mentions": {"user_ids": ["@bob:own", "@bob:own", 7]}})";
  constexpr std::string_view kRoom = R"({"m.mentions": {"room": true}})";
  const EventId mention = say(alice_, "hi", kBob);
  expect(bob_, 1, 1, "mentioned");
  expect(carol_, 1, 0, "another is mentioned");
  say(alice_, "@bob:own bob @room", "{}");
  expect(bob_, 2, 1, "text mentions nobody");
  send(alice_, "m.poll.start", object(kBob));
  expect(bob_, 3, 2, "an event that notifies nobody else");
  expect(carol_, 2, 0, "nobody else");
  say(alice_, "all", kRoom);
  expect(bob_, 4, 3, "all are mentioned");
  expect(carol_, 3, 1, "all are mentioned");
  expect(alice_, 0, 0, "but the sender");
  read(bob_, mention);
  expect(bob_, 3, 2, "read the first");
  // Without the power for it, it is a message.
  say(carol_, "all", kRoom);
  expect(bob_, 4, 2, "no power");
  expect(alice_, 1, 0, "no power");
  // Who is not here is mentioned in vain.
  const std::string stranger = R"({"m.mentions": {"user_ids": ["@dave:own", "@eve:other"]}})";
  say(alice_, "where are you?", stranger);
  join(UserId::trusted("@dave:own"));
  expect(UserId::trusted("@dave:own"), 0, 0, "came too late");
  send(alice_, "m.room.tombstone", {{"body", "moved"}, {"replacement_room", "!new:own"}}, "");
  expect(UserId::trusted("@dave:own"), 1, 1, "the room moved");
}

// The example of https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts
TEST_F(PushTest, ThreadsAreCountedEachForItself) {
  struct Case {
    char event;
    std::string_view thread;
    std::string_view unread;
  };
  for (const Case& c : std::initializer_list<Case>{
           {'I', "main", "A4 B2"},
           {'E', "A", "main3 A2 B2"},
           {'D', "", "main1 A3 B1"},
           {'A', "main", "main2 A4 B2"},
           {'H', "A", "main3 B2"},
           {'I', "", ""},
       }) {
    room_ = create_room();
    join(bob_);
    std::map<char, EventId> events;
    events['A'] = say(alice_, "A");
    events['B'] = say(alice_, "B");
    for (const auto& [event, root] :
         {std::pair{'C', 'A'}, {'D', 'B'}, {'E', 'A'}, {'F', 'B'}, {'G', 'A'}, {'H', 'A'}})
      events[event] = relate(alice_, "m.thread", events[root]);
    events['I'] = say(alice_, "I");
    std::string thread(c.thread);
    if (thread.size() == 1) thread = events[thread[0]].str();
    read(bob_, events[c.event], thread);
    std::string text;
    for (const auto& [name, event] : {std::pair{std::string("main"), std::string("main")},
                                      {std::string("A"), events['A'].str()},
                                      {std::string("B"), events['B'].str()}}) {
      const Unread all = unread(bob_);
      const auto found = all.threads.find(event);
      if (found == all.threads.end()) continue;
      if (!text.empty()) text += ' ';
      text += name + std::to_string(found->second.notifications);
    }
    EXPECT_EQ(text, c.unread) << c.event << " in " << c.thread;
  }
}

TEST_F(PushTest, RelationsLeadIntoThreadsInAtMostThreeSteps) {
  room_ = create_room();
  join(bob_);
  const EventId root = say(alice_, "root");
  EventId last = relate(alice_, "m.thread", root);
  for (int i = 0; i < 3; ++i)
    last = relate(alice_, "m.reference", last);
  EXPECT_EQ(unread(bob_).threads[root.str()].notifications, 4u);
  relate(alice_, "m.reference", last);
  EXPECT_EQ(unread(bob_).threads[root.str()].notifications, 4u);
  EXPECT_EQ(unread(bob_).main().notifications, 2u);  // the root, and what is too far away
  // What relates to the root in another way is beside it.
  relate(alice_, "m.reference", root);
  EXPECT_EQ(unread(bob_).main().notifications, 3u);
  // Sending into a thread reads that thread.
  relate(bob_, "m.thread", root);
  EXPECT_EQ(unread(bob_).threads.count(root.str()), 0u);
  EXPECT_EQ(unread(bob_).main().notifications, 3u);
}

TEST_F(PushTest, AnEventWritesNothingPerMember) {
  room_ = create_room();
  const auto rows_of = [&](std::string_view more) {
    say(alice_, "warm up");
    say(alice_, "x", more);
    return counter_.rows;
  };
  join(bob_);
  const size_t few = rows_of("{}");
  std::string all;
  for (int i = 0; i < 40; ++i) {
    const UserId user = UserId::trusted("@member" + std::to_string(i) + ":own");
    join(user);
    all += (i == 0 ? "\"" : ",\"") + user.str() + '"';
  }
  EXPECT_EQ(rows_of("{}"), few);
  EXPECT_EQ(rows_of(R"({"m.mentions": {}})"), few);
  EXPECT_EQ(rows_of(R"({"m.mentions": {"user_ids": ["@bob:own"]}})"), few + 1);
  EXPECT_EQ(rows_of(R"({"m.mentions": {"room": true}})"), few + 1);
  EXPECT_EQ(rows_of(R"({"m.mentions": {"user_ids": ["@nobody:own", "@x:other"]}})"), few);
  EXPECT_EQ(rows_of(R"({"m.mentions": {"user_ids": [)" + all + "]}}"), few + 40);
}

TEST_F(PushTest, ChangedRulesDecideWhatCounts) {
  room_ = create_room();
  join(bob_);
  join(carol_);
  say(alice_, "we have cake");
  say(alice_, "and tea");
  const EventId root = say(alice_, "more in the thread");
  relate(alice_, "m.thread", root);
  const auto keyword = R"({"pattern": "cake", "actions": ["notify", {"set_tweak": "highlight"}]})";
  for (const UserId& user : {bob_, carol_}) {
    ASSERT_TRUE(put(user, Kind::kContent, "cake", keyword).ok());
    expect(user, 4, 0, "what came before the keyword");
    EXPECT_EQ(unread(user).threads[root.str()], (Count{1, 0}));
  }
  say(alice_, "CAKE!");
  say(alice_, "hi", R"({"m.mentions": {"user_ids": ["@bob:own"]}})");
  // Equal rules, and what differs by user is not mixed up.
  expect(bob_, 6, 2, "mentioned");
  expect(carol_, 6, 1, "not mentioned");
  expect(bob_, 6, 2, "remembered");
  ASSERT_TRUE(put(bob_, Kind::kSender, alice_.str(), R"({"actions": []})").ok());
  expect(bob_, 6, 2, "what came before the sender was muted");
  say(alice_, "tea, in vain");
  say(alice_, "cake again");
  expect(bob_, 7, 3, "only what content and mentions notify");
  const std::string mute = R"({"actions": ["dont_notify"], "conditions": [
      {"kind": "event_match", "key": "room_id", "pattern": ")" +
                           room_.str() + R"("}]})";
  ASSERT_TRUE(put(bob_, Kind::kOverride, room_.str(), mute).ok());
  expect(bob_, 7, 3, "what came before the room was muted");
  say(alice_, "cake, in vain");
  expect(bob_, 7, 3, "muted");
  const auto enable = [&](bool on) {
    return change(bob_, [this, on](push_rules::RuleSet& rules) {
      return rules.set_enabled(Kind::kOverride, room_.str(), on);
    });
  };
  ASSERT_TRUE(enable(false).ok());
  expect(bob_, 7, 3, "what came while it was muted");
  say(alice_, "cake for all");
  expect(bob_, 8, 4, "no longer muted");
  crash();
  expect(bob_, 8, 4, "after a crash");
  read(bob_, root);
  expect(bob_, 5, 4, "read");
  say(bob_, "cake of my own");
  expect(bob_, 1, 0, "answered, but not in the thread");
  expect(carol_, 11, 5, "cake of bob's");
}

TEST_F(PushTest, OfTheFormerRulesTheLatestAreKnown) {
  room_ = create_room();
  join(bob_);
  const auto mute = [&](bool on) {
    return change(bob_, [on](push_rules::RuleSet& rules) {
      return rules.set_enabled(Kind::kOverride, ".m.rule.master", on);
    });
  };
  for (size_t i = 0; i < 2 * kFormerRulesMax; ++i) {
    ASSERT_TRUE(mute(i % 2 == 0).ok());
    say(alice_, "x");
  }
  const auto former = rules_->read_former(*database_->snapshot(), number(bob_));
  ASSERT_TRUE(former.ok());
  EXPECT_EQ(former->size(), kFormerRulesMax);
  // Every second message; those before the oldest rules that are known all alike.
  const uint64_t counted = unread(bob_).main().notifications;
  EXPECT_GE(counted, kFormerRulesMax / 2);
  EXPECT_LE(counted, kFormerRulesMax / 2 + kFormerRulesMax);
  ASSERT_TRUE(mute(false).ok());
  EXPECT_EQ(rules_->read_former(*database_->snapshot(), number(bob_))->back().until,
            former->back().until)
      << "no change";
}

TEST_F(PushTest, RulesCanAskForTheDisplayNameAndForPermission) {
  room_ = create_room();
  join(bob_);
  send(bob_, "m.room.member", {{"membership", "join"}, {"displayname", "Bob *"}}, bob_.str());
  ASSERT_TRUE(put(bob_, Kind::kOverride, "name",
                  R"({"actions": ["notify", {"set_tweak": "highlight"}],
                      "conditions": [{"kind": "contains_display_name"}]})")
                  .ok());
  ASSERT_TRUE(put(bob_, Kind::kOverride, "call",
                  R"({"actions": ["notify", {"set_tweak": "highlight"}],
                      "conditions": [{"kind": "event_match", "key": "content.body",
                                      "pattern": "@room"},
                                     {"kind": "sender_notification_permission", "key": "room"}]})")
                  .ok());
  join(carol_);
  say(carol_, "dear bob *, hello");
  expect(bob_, 1, 1, "by name");
  say(carol_, "bob the builder");
  expect(bob_, 2, 1, "a name is no pattern");
  say(carol_, "@room");
  expect(bob_, 3, 1, "carol may not");
  say(alice_, "@room");
  expect(bob_, 4, 2, "alice may");
}

TEST_F(PushTest, RulesAreOnDiskAndChangedOneAfterTheOther) {
  room_ = create_room();
  join(bob_);
  EXPECT_EQ(run(rules_->get(number(bob_)))->number, 0u);
  // Two changes at once are both made.
  std::vector<std::optional<Status>> done(2);
  for (size_t i = 0; i < done.size(); ++i) {
    const auto body = object(R"({"actions": []})");
    runtime::spawn(*runtime_, runtime_->shard(0), "change",
                   runtime::keep(rules_->change(number(bob_),
                                                [i, body](push_rules::RuleSet& rules) {
                                                  return rules.put(Kind::kRoom, std::to_string(i),
                                                                   body, {});
                                                }),
                                 done[i]));
  }
  EXPECT_TRUE(simulation_->run_until([&] { return done[0] && done[1]; }, Millis(60'000)));
  crash();
  EXPECT_EQ(run(rules_->get(number(bob_)))->rules->rules(Kind::kRoom).size(), 2u);
  EXPECT_EQ(run(rules_->get(number(alice_)))->number, 0u);
  // What is refused changes nothing.
  const std::string big(kChangesBytesMax, 'x');
  const Status refused = change(bob_, [&](push_rules::RuleSet& rules) {
    return rules.put(
        Kind::kOverride, "big",
        {{"actions", json::Array{}}, {"conditions", json::Array{json::Object{{"kind", big}}}}}, {});
  });
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(change(bob_, [](push_rules::RuleSet& rules) { return rules.erase(Kind::kRoom, "no"); })
                .error()
                .code,
            ErrorCode::kNotFound);
  const auto text = rules_->account_data(*database_->snapshot(), number(bob_), bob_);
  ASSERT_TRUE(text.ok());
  const json::Object data = object(*text);
  EXPECT_EQ(data.find_object("global")->find_array("room")->size(), 2u);
  EXPECT_TRUE(data.find_object("global")->find_array("content")->empty());
  const auto changes =
      stores::read_account_data_changes(*database_->snapshot(), number(bob_), 0, ~uint64_t{0} - 1);
  ASSERT_EQ(changes->size(), 1u);
  EXPECT_EQ(changes->front().second, stores::kPushRulesType);
}

}  // namespace
}  // namespace polder::push
