// A sender over a store in memory and servers that take transactions down: for tests.
#pragma once

#include "federation/sender/sender.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/runtime/simulated.h"
#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"
#include "storage/stores/federation/federation_rows.h"
#include "storage/stores/rooms/purge_rows.h"

namespace polder::sender {

inline const ServerName kOwn = ServerName::trusted("own.example");
inline const ServerName kB = ServerName::trusted("b.example");
inline const ServerName kC = ServerName::trusted("c.example");
inline constexpr stores::RoomNumber kRoom = 1;

// Takes transactions down, and answers as it is told.
class FakeServers final : public transport::Servers {
 public:
  explicit FakeServers(runtime::Runtime& runtime) : runtime_(runtime) {}
  std::map<ServerName, ErrorCode> failing;
  std::map<ServerName, std::vector<std::string>> types;  // of the events delivered
  std::map<ServerName, std::vector<std::string>> edus;   // types, delivered
  std::map<ServerName, size_t> largest;
  std::string refused;             // a type of event that makes a transaction be refused
  std::vector<std::string> paths;  // of all calls
  int calls = 0;
  size_t under_way = 0;
  size_t most_under_way = 0;

  Task<Result<http::ClientResponse>> call(ServerName server, transport::Call call) override {
    POLDER_CO_CHECK(co_await call.fill());
    ++calls;
    most_under_way = std::max(most_under_way, ++under_way);
    co_await runtime::sleep_for(runtime_, Millis(20));
    --under_way;
    paths.push_back(call.path);
    EXPECT_FALSE(answered_.contains(call.path))
        << "ids of answered transactions are not used again";
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
    answered_.insert(call.path);
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
  std::set<std::string> answered_;
};

class FakeSource final : public EduSource {
 public:
  std::map<ServerName, std::vector<std::string>> pending;
  bool failing = false;
  int asked = 0;
  Task<Result<PendingEdus>> next(ServerName destination, size_t limit) override {
    ++asked;
    if (failing) co_return fail(ErrorCode::kIo, "cannot be read");
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
    followers_ = std::make_unique<feed::Followers>(*runtime_, *database_, *committer_);
    names_ = *stores::Names::open(*database_);
    servers_ = std::make_unique<FakeServers>(*runtime_);
    sender_ = std::make_unique<Sender>(SenderParts{*runtime_, *database_, *committer_, *followers_,
                                                   *names_, nodes_, *servers_, kOwn});
    sender_->add_source(source_);
  }
  void halt() {
    simulation_->crash(*runtime_);
    sender_.reset();
    servers_paths_ = servers_->paths;
    servers_.reset();
    names_.reset();
    followers_.reset();
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
  std::vector<std::string> servers_paths_;  // of all calls before the last halt
  std::unique_ptr<runtime::Simulation> simulation_;
  std::unique_ptr<runtime::Runtime> runtime_;
  std::unique_ptr<kv::Database> database_;
  std::unique_ptr<kv::Committer> committer_;
  std::unique_ptr<feed::Followers> followers_;
  std::unique_ptr<stores::Names> names_;
  std::unique_ptr<FakeServers> servers_;
  std::unique_ptr<Sender> sender_;
};

using Types = std::vector<std::string>;

}  // namespace polder::sender
