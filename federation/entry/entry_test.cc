#include "federation/entry/entry.h"

#include "federation/entry/testing/server.h"
#include "homeserver/rooms/engine/testing/engine.h"
#include "storage/stores/check/check.h"
#include "storage/stores/users/user_rows.h"

namespace polder::entry {
namespace {

using rooms::LocalEvent;
using rooms::RoomReader;

class EntryTest : public rooms::RoomsTest {
 protected:
  // What waits for the other server dies before it.
  ~EntryTest() override { simulation_->crash(*runtime_); }

  void SetUp() override {
    other_database_ = kv::open_memory(stores::kColumns, other_disk_);
    other_committer_ = kv::Committer::create(*runtime_, *other_database_);
    other_names_ = *stores::Names::open(*other_database_);
    other_engine_ = std::make_unique<rooms::RoomEngine>(
        rooms::EngineParts{*runtime_, *other_database_, *other_committer_, *other_names_, other_,
                           other_key_, keys_, other_remote_});
    servers_ = std::make_unique<OtherServer>(*other_engine_, own_);
    client_ = std::make_unique<client::FederationClient>(*servers_);
    entry_ = std::make_unique<RoomEntry>(engine_->writer, *client_);
  }

  RoomId other_room(std::string_view version = "11", std::string_view join_rule = "public") {
    auto events = new_room(version, join_rule);
    for (LocalEvent& event : events) {
      event.sender = bob_;
      if (event.type == "m.room.member") event.state_key = bob_.str();
      if (event.content.contains("creator")) event.content.set("creator", bob_.str());
      if (event.type == "m.room.power_levels" && !event.content.find_object("users")->empty())
        event.content.set("users", json::object({{bob_.str(), 100}}));
    }
    events.push_back(
        {.sender = bob_, .type = "m.room.name", .state_key = "", .content = {{"name", "Other"}}});
    auto room =
        run(other_engine_->writer.create(*events::find_room_version(version), std::move(events)));
    EXPECT_TRUE(room.ok()) << room.error().message;
    return *room;
  }
  MembershipRequest request(const RoomId& room) { return {alice_, room, {}, {other_}}; }
  Result<rooms::SentEvent> bob_sets(const RoomId& room, std::string type, std::string key,
                                    json::Object content) {
    return run(other_engine_->writer.send(room, {.sender = bob_,
                                                 .type = std::move(type),
                                                 .state_key = std::move(key),
                                                 .content = std::move(content)}));
  }
  // Bob invites alice, and her server has heard of it.
  void invite_alice(const RoomId& room) {
    const LocalEvent invite{.sender = bob_,
                            .type = "m.room.member",
                            .state_key = alice_.str(),
                            .content = {{"membership", "invite"}}};
    const auto event = run(other_engine_->writer.prepare(room, invite));
    ASSERT_TRUE(event.ok()) << event.error().message;
    ASSERT_TRUE(run(other_engine_->writer.store_prepared(*event)).ok());
    ASSERT_TRUE(run(engine_->writer.store_outside_membership((*event)->rules(), *event, {})).ok());
  }
  std::string membership(const rooms::RoomEngine& engine, const RoomId& room, const UserId& user) {
    const auto head = *engine.source().head(room);
    if (!head) return "";
    const RoomReader reader(engine.source(), head);
    const auto event = *reader.state_event(head->record.state, "m.room.member", user.view());
    return event ? std::string(event->membership()) : "";
  }
  std::string_view row(const RoomId& room, const UserId& user) {
    const auto user_number = *names_->find(stores::NameKind::kUser, user.view());
    const auto room_number = *engine_->source().find(room);
    if (!user_number || !room_number) return "";
    const auto found = *stores::read_membership(*database_->snapshot(), *user_number, *room_number);
    return found ? stores::to_string(found->membership) : "";
  }
  bool followed(const RoomId& room) {
    const auto head = *engine_->source().head(room);
    return head && head->record.local_joined;
  }
  void set_account(const UserId& user, const stores::AccountRow& account) {
    kv::Batch batch;
    stores::NewNames new_names;
    const auto number = names_->intern(stores::NameKind::kUser, user.view(), batch, new_names);
    ASSERT_TRUE(number.ok());
    stores::put_account(batch, *number, account);
    ASSERT_TRUE(run(committer_->commit(std::move(batch))).ok());
  }
  void expect_sound() {
    const auto report = stores::check_database(*database_->snapshot());
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report->faults, std::vector<std::string>{});
  }
  json::Array& list(json::Object& answer, const char* name) {
    return *answer.find(name)->as_array();
  }

  kv::MemoryDisk other_disk_;
  rooms::TestRemote other_remote_;
  std::unique_ptr<kv::Database> other_database_;
  std::unique_ptr<kv::Committer> other_committer_;
  std::unique_ptr<stores::Names> other_names_;
  std::unique_ptr<rooms::RoomEngine> other_engine_;
  std::unique_ptr<OtherServer> servers_;
  std::unique_ptr<client::FederationClient> client_;
  std::unique_ptr<RoomEntry> entry_;
};

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

TEST_F(EntryTest, AnInviteIsStoredWithTheInvitedServersSignature) {
  for (const char* version : {"10", "11", "12"}) {
    servers_->calls.clear();
    const RoomId room = create(version);
    const Status invited = run(entry_->invite({alice_, room, {{"reason", "come"}}}, bob_));
    ASSERT_TRUE(invited.ok()) << invited.error().message;
    EXPECT_EQ(membership(*engine_, room, bob_), "invite");
    const RoomReader reader(engine_->source(), *engine_->source().head(room));
    const auto event =
        *reader.state_event(reader.head().record.state, "m.room.member", bob_.view());
    EXPECT_EQ(events::signatures_of(event->object()).size(), 2u);
    EXPECT_EQ(*event->content().find_string("reason"), "come");
    // MSC4311: the state of an invite is of whole events, the create event among them.
    const auto body = *json::parse_object(*servers_->calls.at(0).body);
    EXPECT_EQ(*body.find_string("room_version"), version);
    const auto create = events::Event::parse(
        *body.find_array("invite_room_state")->front().as_object(), event->rules());
    ASSERT_TRUE(create.ok());
    EXPECT_TRUE((*create)->is_state("m.room.create", ""));
    EXPECT_EQ((*create)->room_id(), room);
  }
  expect_sound();
}

TEST_F(EntryTest, AnInviteThatComesBackOtherwiseIsNotStored) {
  const RoomId room = create();
  const auto event_of = [](json::Object& answer) -> json::Object& {
    return *answer.find("event")->as_object();
  };
  const std::vector<std::function<void(json::Object&)>> changes = {
      [&](json::Object& a) { event_of(a).set("content", json::object({{"membership", "ban"}})); },
      [&](json::Object& a) { event_of(a).set("depth", 1); },
      [&](json::Object& a) { event_of(a).set("signatures", json::Object()); },
      [&](json::Object& a) {
        event_of(a)
            .find("signatures")
            ->as_object()
            ->set(other_.str(), *event_of(a).find_object("signatures")->find(own_.view()));
      },
      [&](json::Object& a) { a.erase("event"); },
  };
  for (const auto& change : changes) {
    servers_->change = [&](std::string_view, json::Object& answer) { change(answer); };
    EXPECT_FALSE(run(entry_->invite({alice_, room}, bob_)).ok());
  }
  servers_->refusal = ErrorCode::kForbidden;
  EXPECT_EQ(run(entry_->invite({alice_, room}, bob_)).error().code, ErrorCode::kForbidden);
  EXPECT_EQ(timeline_size(room), 4u);
  EXPECT_EQ(run(entry_->invite({carol_, room}, bob_)).error().code, ErrorCode::kForbidden);
}

TEST_F(EntryTest, LocalUsersAreInvitedWithoutOthers) {
  const RoomId room = create();
  ASSERT_TRUE(run(entry_->invite({alice_, room}, carol_)).ok());
  EXPECT_EQ(membership(*engine_, room, carol_), "invite");
  EXPECT_TRUE(servers_->calls.empty());
  ASSERT_TRUE(run(entry_->leave({carol_, room})).ok());
  EXPECT_EQ(membership(*engine_, room, carol_), "leave");
}

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
  servers_->refusal.reset();
  simulation_->run_for(Millis(90'000));
  EXPECT_EQ(membership(*other_engine_, room, alice_), "leave");
  EXPECT_TRUE(stores::read_late_leaves(*database_->snapshot())->empty());
}

}  // namespace
}  // namespace polder::entry
