// Rooms of another server are entered.
#include "federation/entry/testing/entry.h"

namespace polder::entry {
namespace {

using rooms::RoomReader;

TEST_F(EntryTest, ARoomOfEveryVersionIsEntered) {
  for (const auto& rules : events::room_versions()) {
    const RoomId room = other_room(rules.id);
    MembershipRequest join = request(room);
    join.content.set("displayname", "Alice");
    const Status joined = run(entry_->join(std::move(join)));
    ASSERT_TRUE(joined.ok()) << rules.id << joined.error().message;
    EXPECT_EQ(membership(*engine_, room, alice_), "join");
    EXPECT_EQ(membership(*engine_, room, bob_), "join");
    EXPECT_EQ(membership(*other_engine_, room, alice_), "join");
    EXPECT_NE(state(room, "m.room.name", ""), "");
    EXPECT_TRUE(say(room, alice_, "hello").ok());
  }
  expect_sound();
}

TEST_F(EntryTest, AGuestEntersWhereTheOtherServerSaysThatGuestsMay) {
  stores::AccountRow guest;
  guest.guest = true;
  set_account(alice_, guest);
  const RoomId room = other_room();
  const Status refused = run(entry_->join(request(room)));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().errcode.view(), "M_GUEST_ACCESS_FORBIDDEN");
  EXPECT_EQ(servers_->count("make_join"), 0u);
  servers_->guest_can_join = true;
  const Status joined = run(entry_->join(request(room)));
  ASSERT_TRUE(joined.ok()) << joined.error().message;
  EXPECT_EQ(membership(*other_engine_, room, alice_), "join");
}

// As deep as 64 KiB allow, which is all that the specification limits.
TEST_F(EntryTest, ARoomWhoseMembersAreNestedDeeplyIsEntered) {
  const RoomId room = other_room();
  const std::string deep = std::string(31'000, '[') + std::string(31'000, ']');
  const auto changed = bob_sets(room, "m.room.member", bob_.str(),
                                {{"membership", "join"}, {"deep", *json::parse(deep)}});
  ASSERT_TRUE(changed.ok()) << changed.error().message;
  const Status joined = run(entry_->join(request(room)));
  ASSERT_TRUE(joined.ok()) << joined.error().message;
  EXPECT_EQ(membership(*engine_, room, bob_), "join");
  EXPECT_EQ(state(room, "m.room.member", bob_.str()), changed->id.str());
  EXPECT_TRUE(say(room, alice_, "hello").ok());
  expect_sound();
}

TEST_F(EntryTest, ServersAreTriedInTurn) {
  const RoomId room = other_room();
  const std::vector<ServerName> via = {own_, ServerName::trusted("gone"), other_};
  EXPECT_TRUE(run(entry_->join({alice_, room, {}, via})).ok());
  EXPECT_TRUE(followed(room));
  // Without any, the room id's server is asked; a version 12 room id names none.
  EXPECT_TRUE(run(entry_->join({alice_, other_room("10")})).ok());
  EXPECT_EQ(run(entry_->join({alice_, other_room("12")})).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(
      run(entry_->join({alice_, other_room("12"), {}, {ServerName::trusted("gone")}})).error().code,
      ErrorCode::kUnavailable);
}

// Who names servers is not taken elsewhere, however much this server knows of the room.
TEST_F(EntryTest, OfNamedServersOnlyTheInvitersIsAskedBesides) {
  const std::vector<ServerName> gone = {ServerName::trusted("gone")};
  const RoomId named = other_room("10");
  EXPECT_EQ(run(entry_->join({alice_, named, {}, gone})).error().code, ErrorCode::kUnavailable);
  const RoomId left = other_room();
  ASSERT_TRUE(run(entry_->join(request(left))).ok());
  ASSERT_TRUE(run(entry_->leave({alice_, left})).ok());
  EXPECT_EQ(run(entry_->join({alice_, left, {}, gone})).error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(run(entry_->join({alice_, left, {}, {own_}})).ok());
  const RoomId invited = other_room("12", "invite");
  invite_alice(invited);
  EXPECT_TRUE(run(entry_->join({alice_, invited, {}, gone})).ok());
}

TEST_F(EntryTest, TheInvitersServerIsAsked) {
  const RoomId room = other_room("12", "invite");
  invite_alice(room);
  const Status joined = run(entry_->join({alice_, room}));
  ASSERT_TRUE(joined.ok()) << joined.error().message;
  EXPECT_EQ(row(room, alice_), "join");
  expect_sound();
}

TEST_F(EntryTest, JoinsAtOnceEnterOnce) {
  const RoomId room = other_room();
  size_t done = 0;
  for (const UserId& user : {alice_, carol_, alice_}) {
    runtime::spawn(*runtime_, runtime_->shard(0), "join",
                   [](RoomEntry& entry, MembershipRequest join, size_t& count) -> Task<void> {
                     const Status joined = co_await entry.join(std::move(join));
                     EXPECT_TRUE(joined.ok()) << joined.error().message;
                     ++count;
                   }(*entry_, {user, room, {}, {other_}}, done));
  }
  ASSERT_TRUE(simulation_->run_until([&] { return done == 3; }, Millis(60'000)));
  EXPECT_EQ(servers_->count("send_join"), 1u);
  EXPECT_EQ(membership(*engine_, room, alice_), "join");
  EXPECT_EQ(membership(*engine_, room, carol_), "join");
  EXPECT_EQ((*engine_->source().head(room))->record.joined, 3u);
}

TEST_F(EntryTest, AJoinAtOnceByAnotherWayIsTriedForItself) {
  const RoomId room = other_room();
  std::map<std::string, std::optional<Status>> outcomes;
  for (const ServerName& via : {ServerName::trusted("nobody"), other_}) {
    runtime::spawn(
        *runtime_, runtime_->shard(0), "join",
        [](RoomEntry& entry, MembershipRequest join, std::optional<Status>& outcome) -> Task<void> {
          outcome = co_await entry.join(std::move(join));
        }(*entry_, {alice_, room, {}, {via}}, outcomes[via.str()]));
  }
  const auto all_told = [&] { return outcomes["nobody"] && outcomes[other_.str()]; };
  ASSERT_TRUE(simulation_->run_until(all_told, Millis(600'000)));
  EXPECT_FALSE(outcomes["nobody"]->ok());
  EXPECT_TRUE(outcomes[other_.str()]->ok());
  EXPECT_EQ(membership(*engine_, room, alice_), "join");
}

TEST_F(EntryTest, WhoIsInTheRoomStays) {
  const RoomId room = create();
  EXPECT_TRUE(run(entry_->join(request(room))).ok());
  EXPECT_EQ(timeline_size(room), 4u);
  EXPECT_TRUE(servers_->calls.empty());
}

TEST_F(EntryTest, RefusalsAreTheRooms) {
  const RoomId room = other_room();
  servers_->refusal = ErrorCode::kForbidden;
  EXPECT_EQ(run(entry_->join(request(room))).error().code, ErrorCode::kForbidden);
  servers_->refusal = ErrorCode::kInvalid;
  EXPECT_EQ(run(entry_->join(request(room))).error().code, ErrorCode::kUnavailable);
  EXPECT_FALSE(followed(room));
}

TEST_F(EntryTest, HostileTemplatesAreNotSigned) {
  const RoomId room = other_room();
  struct Case {
    const char* name;
    json::Value value;
    ErrorCode code;
  };
  const std::vector<Case> cases = {
      {"room_id", "!elsewhere:other", ErrorCode::kUnavailable},
      {"sender", bob_.str(), ErrorCode::kUnavailable},
      {"state_key", carol_.str(), ErrorCode::kUnavailable},
      {"type", "m.room.power_levels", ErrorCode::kUnavailable},
      {"content", json::object({{"membership", "ban"}}), ErrorCode::kUnavailable},
      {"depth", json::Value(-1), ErrorCode::kUnavailable},
      {"room_version", "99", ErrorCode::kUnsupported},
  };
  for (const Case& one : cases) {
    servers_->change = [&](std::string_view path, json::Object& answer) {
      if (path.find("make_join") == std::string_view::npos) return;
      const bool outer = std::string_view(one.name) == "room_version";
      (outer ? answer : *answer.find("event")->as_object()).set(one.name, one.value);
    };
    EXPECT_EQ(run(entry_->join(request(room))).error().code, one.code) << one.name;
  }
  EXPECT_EQ(servers_->count("send_join"), 0u);
  EXPECT_EQ(*engine_->source().head(room), nullptr);
}

TEST_F(EntryTest, HostileAnswersToAJoinAreRefused) {
  const auto erase = [this](json::Object& answer, std::string_view type) {
    for (const char* name : {"state", "auth_chain"}) {
      std::erase_if(list(answer, name), [&](const json::Value& event) {
        return *event.as_object()->find_string("type") == type;
      });
    }
  };
  const auto forge = [this](json::Object& answer, std::string_view type) {
    for (const char* name : {"state", "auth_chain"}) {
      for (json::Value& event : list(answer, name)) {
        if (*event.as_object()->find_string("type") == type)
          event.as_object()->set("origin_server_ts", 7);
      }
    }
  };
  struct Case {
    const char* what;
    std::function<void(json::Object&)> change;
  };
  const std::vector<Case> cases = {
      {"no create event", [&](json::Object& a) { erase(a, "m.room.create"); }},
      {"no auth events of the join", [&](json::Object& a) { erase(a, "m.room.join_rules"); }},
      {"badly signed create event", [&](json::Object& a) { forge(a, "m.room.create"); }},
      {"badly signed auth events", [&](json::Object& a) { forge(a, "m.room.power_levels"); }},
      {"event changed",
       [&](json::Object& a) {
         a.find("event")->as_object()->find("content")->as_object()->set("displayname", "Eve");
       }},
      {"another event", [&](json::Object& a) { a.set("event", list(a, "state").front()); }},
      {"members omitted", [&](json::Object& a) { a.set("members_omitted", true); }},
      {"no state", [&](json::Object& a) { a.set("state", json::Array()); }},
      {"no list", [&](json::Object& a) { a.set("auth_chain", 1); }},
  };
  for (const Case& one : cases) {
    const RoomId room = other_room();
    servers_->change = [&](std::string_view path, json::Object& answer) {
      if (path.find("send_join") != std::string_view::npos) one.change(answer);
    };
    EXPECT_EQ(run(entry_->join(request(room))).error().code, ErrorCode::kUnavailable) << one.what;
    EXPECT_FALSE(followed(room)) << one.what;
    EXPECT_EQ(row(room, alice_), "") << one.what;
  }
  expect_sound();
}

TEST_F(EntryTest, TwoEventsOfOneKeyAreNoState) {
  const RoomId room = other_room();
  const RoomReader reader(other_engine_->source(), *other_engine_->source().head(room));
  const auto before = *reader.state_event(reader.head().record.state, "m.room.name", "");
  ASSERT_TRUE(bob_sets(room, "m.room.name", "", {{"name", "Two"}}).ok());
  servers_->change = [&](std::string_view path, json::Object& answer) {
    if (path.find("send_join") != std::string_view::npos)
      list(answer, "state").emplace_back(before->object());
  };
  EXPECT_EQ(run(entry_->join(request(room))).error().code, ErrorCode::kUnavailable);
}

TEST_F(EntryTest, WhatIsBadlySignedAndNotNeededIsLeftOut) {
  const RoomId room = other_room();
  servers_->change = [&](std::string_view path, json::Object& answer) {
    if (path.find("send_join") == std::string_view::npos) return;
    for (json::Value& event : list(answer, "state")) {
      if (*event.as_object()->find_string("type") == "m.room.name")
        event.as_object()->set("signatures", json::Object());
    }
  };
  ASSERT_TRUE(run(entry_->join(request(room))).ok());
  EXPECT_EQ(state(room, "m.room.name", ""), "");
  EXPECT_NE(state(room, "m.room.create", ""), "");
  expect_sound();
}

// https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms
TEST_F(EntryTest, ARestrictedJoinCarriesItsAuthorisersSignature) {
  const RoomId room = other_room("10");
  ASSERT_TRUE(bob_sets(room, "m.room.join_rules", "",
                       {{"join_rule", "restricted"}, {"allow", json::Array()}})
                  .ok());
  servers_->authoriser = bob_;
  servers_->change = [&](std::string_view path, json::Object& answer) {
    if (path.find("send_join") != std::string_view::npos) answer.erase("event");
  };
  EXPECT_EQ(run(entry_->join(request(room))).error().code, ErrorCode::kUnavailable);
  const RoomId second = other_room("10");
  servers_->change = nullptr;
  const Status joined = run(entry_->join(request(second)));
  ASSERT_TRUE(joined.ok()) << joined.error().message;
  EXPECT_EQ(membership(*engine_, second, alice_), "join");
}

TEST_F(EntryTest, ARestrictedRoomThatIsFollowedIsJoinedByALocalAuthoriser) {
  const RoomId club = create("10");
  const RoomId room = create("10");
  json::Array allow;
  allow.emplace_back(json::object({{"type", "m.room_membership"}, {"room_id", club.str()}}));
  ASSERT_TRUE(
      run(engine_->writer.send(room, {.sender = alice_,
                                      .type = "m.room.join_rules",
                                      .state_key = "",
                                      .content = {{"join_rule", "restricted"}, {"allow", allow}}}))
          .ok());
  EXPECT_EQ(run(entry_->join({carol_, room})).error().code, ErrorCode::kForbidden);
  ASSERT_TRUE(run(entry_->join({carol_, club})).ok());
  EXPECT_TRUE(run(entry_->join({carol_, room})).ok());
  EXPECT_TRUE(servers_->calls.empty());
}

TEST_F(EntryTest, ARoomThatWasLeftIsEnteredAnew) {
  const RoomId room = other_room("12");
  ASSERT_TRUE(run(entry_->join(request(room))).ok());
  ASSERT_TRUE(run(entry_->leave({alice_, room})).ok());
  EXPECT_FALSE(followed(room));
  // The other server, which was told of nothing, is known from before.
  ASSERT_TRUE(bob_sets(room, "m.room.name", "", {{"name", "Later"}}).ok());
  const Status again = run(entry_->join({carol_, room}));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_TRUE(followed(room));
  EXPECT_EQ(membership(*engine_, room, carol_), "join");
  expect_sound();
}

}  // namespace
}  // namespace polder::entry
