#include "federation/sender/sender.h"

#include "homeserver/json/parse.h"
#include "homeserver/json/write.h"
#include "homeserver/runtime/simulated.h"
#include "storage/kv/memory.h"
#include "storage/stores/columns.h"
#include "storage/stores/federation_rows.h"
#include "storage/stores/purge_rows.h"

namespace polder::sender {
namespace {

const ServerName kOwn = ServerName::trusted("own.example");
const ServerName kB = ServerName::trusted("b.example");
const ServerName kC = ServerName::trusted("c.example");
constexpr stores::RoomNumber kRoom = 1;

// Takes transactions down, and answers as it is told.
class FakeServers final : public transport::Servers {
 public:
  explicit FakeServers(runtime::Runtime& runtime) : runtime_(runtime) {}
  std::map<ServerName, ErrorCode> failing;
  std::map<ServerName, std::vector<std::string>> types;  // of the events delivered
  std::map<ServerName, std::vector<std::string>> edus;   // types, delivered
  std::map<ServerName, size_t> largest;
  std::string refused;  // a type of event that makes a transaction be refused
  std::set<std::string> paths;
  int calls = 0;
  size_t under_way = 0;
  size_t most_under_way = 0;

  Task<Result<http::ClientResponse>> call(ServerName server, transport::Call call) override {
    ++calls;
    most_under_way = std::max(most_under_way, ++under_way);
    co_await runtime::sleep_for(runtime_, Millis(20));
    --under_way;
    EXPECT_TRUE(paths.insert(call.path).second) << "transaction ids are never used again";
    if (failing.contains(server)) {
      if (failing[server] == ErrorCode::kUnavailable) down_[server] = true;
      co_return fail(failing[server], "down");
    }
    const auto body = json::parse_object(*call.body);
    EXPECT_TRUE(body.ok());
    EXPECT_EQ(*body->find_string("origin"), kOwn.str());
    const json::Array& pdus = *body->find_array("pdus");
    largest[server] = std::max(largest[server], pdus.size());
    for (const json::Value& pdu : pdus) {
      if (*pdu.as_object()->find_string("type") == refused)
        co_return fail(ErrorCode::kInvalid, "M_BAD_JSON: no");
    }
    for (const json::Value& pdu : pdus)
      types[server].push_back(*pdu.as_object()->find_string("type"));
    if (const json::Array* list = body->find_array("edus")) {
      for (const json::Value& edu : *list)
        edus[server].push_back(*edu.as_object()->find_string("edu_type"));
    }
    http::ClientResponse response;
    response.status = 200;
    response.body = "{}";
    co_return response;
  }
  Millis back_off(const ServerName& server) const override {
    return down_.contains(server) ? Millis(10'000) : Millis(0);
  }
  void heard_from(const ServerName& server) override { down_.erase(server); }

 private:
  runtime::Runtime& runtime_;
  std::map<ServerName, bool> down_;
};

class FakeSource final : public EduSource {
 public:
  std::map<ServerName, std::vector<std::string>> pending;
  Task<Result<PendingEdus>> next(ServerName destination, size_t limit) override {
    PendingEdus found;
    for (const std::string& type : pending[destination]) {
      if (found.edus.size() < limit) found.edus.push_back({type, {}});
    }
    found.token = found.edus.size();
    co_return found;
  }
  Task<void> delivered(ServerName destination, uint64_t token) override {
    auto& all = pending[destination];
    all.erase(all.begin(), all.begin() + static_cast<ptrdiff_t>(token));
    co_return;
  }
  Task<std::vector<ServerName>> waiting() override {
    std::vector<ServerName> names;
    for (const auto& [name, edus] : pending)
      names.push_back(name);
    co_return names;
  }
};

class SenderTest : public testing::Test {
 protected:
  SenderTest() { boot(); }
  ~SenderTest() override { halt(); }

  void boot() {
    simulation_ = runtime::Simulation::create(++boots_);
    runtime_ = simulation_->add_runtime("a");
    database_ = kv::open_memory(stores::kColumns, disk_);
    committer_ = kv::Committer::create(*runtime_, *database_);
    names_ = *stores::Names::open(*database_);
    servers_ = std::make_unique<FakeServers>(*runtime_);
    sender_ = std::make_unique<Sender>(
        SenderParts{*runtime_, *database_, *committer_, *names_, nodes_, *servers_, kOwn});
    sender_->add_source(source_);
  }
  void halt() {
    simulation_->crash(*runtime_);
    sender_.reset();
    servers_.reset();
    names_.reset();
    committer_.reset();
    database_.reset();
    runtime_.reset();
    simulation_.reset();
  }
  void start() { ASSERT_TRUE(sender_->start().ok()); }
  void run(int64_t ms) { simulation_->run_for(Millis(ms)); }

  void commit(kv::Batch batch) {
    bool done = false;
    committer_->enqueue(std::move(batch), kv::Durability::kDurable, [&](const auto& result) {
      EXPECT_TRUE(result.ok());
      done = true;
    });
    EXPECT_TRUE(simulation_->run_until([&] { return done; }, Millis(10'000)));
  }

  // The room's current state, with joined members of these servers.
  void set_room(const std::vector<ServerName>& servers) {
    kv::Batch batch;
    stores::NewNames written;
    stores::RoomRecord room;
    room.id = RoomId::trusted("!r:own.example");
    room.version = "10";
    room.state = {++root_, root_};
    stores::put_room(batch, kRoom, room);
    for (const ServerName& server : {kOwn, kB, kC}) {
      const auto number = *names_->intern(stores::NameKind::kServer, server.view(), batch, written);
      const bool joined = std::ranges::find(servers, server) != servers.end();
      stores::put_server_count(batch, kRoom, number, joined ? 1 : 0);
    }
    commit(std::move(batch));
    names_->committed(written);
  }

  struct Made {
    EventId id;
    std::string json;
  };
  static Made make(const std::string& sender, const std::string& type,
                   std::optional<std::string> state_key = {}, json::Object content = {}) {
    json::Object pdu{{"type", type},
                     {"sender", sender},
                     {"room_id", "!r:own.example"},
                     {"content", std::move(content)},
                     {"prev_events", json::Array{}},
                     {"auth_events", json::Array{}},
                     {"depth", 1},
                     {"origin_server_ts", 1},
                     {"hashes", json::object({})},
                     {"signatures", json::object({})}};
    if (state_key) pdu.set("state_key", *state_key);
    const auto event = *events::Event::parse(pdu, *events::find_room_version("10"));
    return {event->id(), event->json()};
  }
  void store(const Made& event, stores::Standing standing = {},
             std::optional<stores::StateRoot> before = {}) {
    kv::Batch batch;
    const auto slot = batch.reserve_position();
    stores::EventRecord record;
    record.standing = standing;
    record.state_before = before.value_or(stores::StateRoot{root_, root_});
    const stores::EventPlace place{kRoom, ++events_};
    stores::put_event(batch, place, event.id, event.json, record, slot);
    stores::put_stream_event(batch, slot, place);
    commit(std::move(batch));
    sender_->committed({}, rooms::Verdict::kAccepted, {});
  }
  // A state on its own, of nothing but members.
  void set_member(const std::string& user, const std::string& membership) {
    kv::Batch batch;
    stores::NewNames written;
    const auto type = *names_->intern(stores::NameKind::kType, "m.room.member", batch, written);
    const Made event =
        make(user, "m.room.member", user,
             {{"membership", membership}, {"number", static_cast<int64_t>(++events_)}});
    const stores::EventPlace place{kRoom, events_};
    stores::EventRecord record;
    record.standing.outlier = true;
    stores::put_event(batch, place, event.id, event.json, record, {});
    const auto key = *names_->intern(stores::NameKind::kStateKey, user, batch, written);
    const auto snapshot = database_->snapshot();
    const stores::StateNodes nodes(kRoom, *snapshot, nodes_);
    const auto update = stores::state_apply(
        nodes, members_, {{{static_cast<uint32_t>(type), key}, place.number}}, last_node_);
    ASSERT_TRUE(update.ok()) << update.error().message;
    stores::put_state_nodes(batch, kRoom, *update);
    last_node_ = update->last_node;
    members_ = update->root;
    commit(std::move(batch));
    names_->committed(written);
  }
  void send(const std::string& type) { store(make("@alice:own.example", type)); }
  // Bob's, which is to be passed on.
  EventId join_by_way_of_own_server() {
    const Made join =
        make("@bob:b.example", "m.room.member", "@bob:b.example", {{"membership", "join"}});
    kv::Batch batch;
    stores::put_forward(batch, join.id);
    commit(std::move(batch));
    store(join);
    return join.id;
  }
  // Each time, the sender tries it again.
  void hear_from_b(int times) {
    for (int i = 0; i < times; ++i) {
      run(1000);
      sender_->heard_from(kB);
    }
  }

  uint64_t boots_ = 0;
  uint64_t root_ = 0;
  stores::StateRoot members_;
  uint64_t last_node_ = 0;
  stores::EventNumber events_ = 0;
  kv::MemoryDisk disk_;
  stores::StateNodeCache nodes_{1 << 20};
  FakeSource source_;
  std::unique_ptr<runtime::Simulation> simulation_;
  std::unique_ptr<runtime::Runtime> runtime_;
  std::unique_ptr<kv::Database> database_;
  std::unique_ptr<kv::Committer> committer_;
  std::unique_ptr<stores::Names> names_;
  std::unique_ptr<FakeServers> servers_;
  std::unique_ptr<Sender> sender_;
};

using Types = std::vector<std::string>;

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

TEST_F(SenderTest, AnOutageIsCaughtUpWithEvenIfTheQueueOverflowed) {
  start();
  set_room({kOwn, kB, kC});
  servers_->failing[kB] = ErrorCode::kUnavailable;
  for (int i = 0; i < 700; ++i)
    send("e" + std::to_string(i));
  run(5000);
  EXPECT_EQ(servers_->types[kC].size(), 700u);
  EXPECT_FALSE(servers_->types.contains(kB));
  servers_->failing.clear();
  sender_->heard_from(kB);
  run(10'000);
  ASSERT_EQ(servers_->types[kB].size(), 700u);
  for (size_t i = 0; i < 700; ++i)
    EXPECT_EQ(servers_->types[kB][i], "e" + std::to_string(i));
  send("after");
  run(1000);
  EXPECT_EQ(servers_->types[kB].back(), "after");
  EXPECT_EQ(servers_->types[kB].size(), 701u);
}

TEST_F(SenderTest, APowerCutLosesNoEvent) {
  start();
  set_room({kOwn, kB, kC});
  servers_->failing[kB] = ErrorCode::kUnavailable;
  for (int i = 0; i < 20; ++i) {
    send("e" + std::to_string(i));
    run(300);
  }
  EXPECT_EQ(servers_->types[kC].size(), 20u);
  halt();
  disk_.power_loss();
  boot();
  start();
  run(10'000);
  ASSERT_EQ(servers_->types[kB].size(), 20u);
  for (size_t i = 0; i < 20; ++i)
    EXPECT_EQ(servers_->types[kB][i], "e" + std::to_string(i));
  EXPECT_LT(servers_->types[kC].size(), 10u);  // what was not yet written down is sent again
  halt();
  boot();
  start();
  run(10'000);
  EXPECT_EQ(servers_->calls, 0);
}

TEST_F(SenderTest, WhatAServerRefusesDoesNotHoldUpTheRest) {
  set_room({kOwn, kB});
  servers_->refused = "bad";
  for (const char* type : {"one", "bad", "two", "three"})
    send(type);
  start();
  run(10'000);
  EXPECT_EQ(servers_->types[kB], (Types{"one", "two", "three"}));
}

TEST_F(SenderTest, AServerThatForbidsIsNotAskedAllTheTime) {
  start();
  set_room({kOwn, kB});
  servers_->failing[kB] = ErrorCode::kForbidden;
  send("one");
  run(600'000);
  EXPECT_GT(servers_->calls, 3);
  EXPECT_LT(servers_->calls, 12);
  servers_->failing.clear();
  sender_->heard_from(kB);
  run(1000);
  EXPECT_EQ(servers_->types[kB], (Types{"one"}));
}

// It cannot have the sender's key yet, say. An outage before that is no reason to wait for an hour.
TEST_F(SenderTest, AServerThatForbidsAfterAnOutageIsAskedAgainSoon) {
  start();
  set_room({kOwn, kB});
  servers_->failing[kB] = ErrorCode::kUnavailable;
  send("one");
  hear_from_b(12);
  servers_->failing[kB] = ErrorCode::kForbidden;
  sender_->heard_from(kB);
  run(1000);
  servers_->failing.clear();
  run(20'000);
  EXPECT_EQ(servers_->types[kB], (Types{"one"}));
}

// It asks for keys no more than once a minute, say, and sends all the time.
TEST_F(SenderTest, AServerThatForbidsAndIsHeardFromIsNotLeftAloneForLonger) {
  start();
  set_room({kOwn, kB});
  servers_->failing[kB] = ErrorCode::kForbidden;
  send("one");
  hear_from_b(12);
  run(1000);
  EXPECT_GE(servers_->calls, 12);  // each time
  servers_->failing.clear();
  run(30'000);
  EXPECT_EQ(servers_->types[kB], (Types{"one"}));
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
