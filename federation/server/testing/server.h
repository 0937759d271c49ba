// A homeserver's inbound side with nothing but memory behind it, and other servers that sign for
// themselves.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "federation/server/api.h"
#include "federation/wire/authorization.h"
#include "federation/wire/server_keys.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/testing/outcome.h"
#include "homeserver/base/values/bytes.h"
#include "homeserver/protocol/events/signing.h"
#include "homeserver/rooms/engine/engine.h"
#include "homeserver/users/sessions/sessions.h"
#include "storage/feed/followers.h"
#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"

namespace polder::federation_server {

constexpr int64_t kTestDayMs = 24 * 3600 * 1000LL;

// The simulated runtime, with its log written down.
class LoggedRuntime final : public runtime::Runtime, public Log {
 public:
  explicit LoggedRuntime(runtime::Runtime& inner) : inner_(inner) {}
  std::vector<std::string> lines;  // names of events

  size_t shard_count() const override { return inner_.shard_count(); }
  runtime::Executor shard(size_t index) override { return inner_.shard(index); }
  size_t current_shard() const override { return inner_.current_shard(); }
  void post_to_pool(runtime::Lane lane, std::function<void()> work) override {
    inner_.post_to_pool(lane, std::move(work));
  }
  size_t backlog(runtime::Lane lane) const override { return inner_.backlog(lane); }
  std::unique_ptr<runtime::Timer> after(Millis delay, std::function<void()> callback) override {
    return inner_.after(delay, std::move(callback));
  }
  const Clock& clock() const override { return inner_.clock(); }
  Random& random() override { return inner_.random(); }
  Log& log() override { return *this; }
  const runtime::DiskMisuses& disk_misuses() const override { return inner_.disk_misuses(); }

  bool enabled(LogLevel level) const override { return level >= LogLevel::kInfo; }
  void write(LogLevel level, std::string_view event,
             std::span<const base::LogField> fields) override {
    if (enabled(level)) lines.emplace_back(event);
    inner_.log().write(level, event, fields);
  }

 private:
  runtime::Runtime& inner_;
};

// Other servers, which publish their keys and answer nothing else.
class TestServers final : public transport::Servers {
 public:
  explicit TestServers(const Clock& clock) : clock_(clock) {}
  std::map<ServerName, const crypto::SigningKey*> keys;
  int64_t valid_for_ms = 7 * kTestDayMs;
  std::set<ServerName> heard;

  Task<Result<http::ClientResponse>> call(ServerName server, transport::Call call) override {
    const auto key = keys.find(server);
    if (call.path != "/_matrix/key/v2/server" || key == keys.end())
      co_return fail(ErrorCode::kUnavailable, "down");
    http::ClientResponse response;
    response.status = 200;
    response.body = json::write(
        wire::write_server_keys(server, *key->second, {}, clock_.wall_ms() + valid_for_ms));
    co_return response;
  }
  Millis back_off(const ServerName&) const override { return Millis(0); }
  void heard_from(const ServerName& server) override { heard.insert(server); }

 private:
  const Clock& clock_;
};

// Nobody can be asked for events.
class TestRemote final : public rooms::RemoteServers {
 public:
  Task<Result<std::string>> event(ServerName, EventId) override { co_return none(); }
  Task<Result<rooms::RemoteStateIds>> state_ids(ServerName, RoomId, EventId) override {
    co_return none();
  }
  Task<Result<rooms::RemoteState>> state(ServerName, RoomId, EventId) override { co_return none(); }
  Task<Result<std::vector<std::string>>> missing_events(ServerName, RoomId,
                                                        rooms::MissingEvents) override {
    co_return none();
  }
  Task<Result<std::vector<std::string>>> backfill(ServerName, RoomId, std::vector<EventId>,
                                                  size_t) override {
    co_return none();
  }

 private:
  static Error none() { return fail(ErrorCode::kUnavailable, "down"); }
};

class TestDeviceLists final : public RemoteDeviceLists {
 public:
  std::vector<std::string> updates;
  Task<void> device_list_update(ServerName origin, json::Object content) override {
    updates.push_back("devices " + origin.str() + json::write(content));
    co_return;
  }
  Task<void> signing_key_update(ServerName origin, json::Object content) override {
    updates.push_back("keys " + origin.str() + json::write(content));
    co_return;
  }
};

// A body that arrives whole.
class WholeBody final : public http::BodySource {
 public:
  WholeBody(std::string text, size_t& reads) : text_(std::move(text)), reads_(reads) {}
  Task<Result<std::optional<std::string>>> next() override {
    ++reads_;
    if (text_.empty()) co_return std::optional<std::string>();
    co_return std::optional(std::exchange(text_, {}));
  }

 private:
  std::string text_;
  size_t& reads_;
};

struct Answer {
  int status = 0;
  json::Value body;

  const json::Value* at(std::initializer_list<std::string_view> path) const {
    return body.as_object() != nullptr ? json::at(*body.as_object(), path) : nullptr;
  }
  std::string errcode() const {
    const json::Value* code = at({"errcode"});
    return code != nullptr && code->as_string() != nullptr ? *code->as_string() : "";
  }
  std::string text() const { return json::write(body); }
  const json::Array& list(std::string_view name) const {
    static const json::Array none;
    const json::Value* value = at({name});
    EXPECT_TRUE(value != nullptr && value->as_array() != nullptr) << name << " in " << text();
    return value != nullptr && value->as_array() != nullptr ? *value->as_array() : none;
  }
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    servers_.keys = {{other_, &other_key_}, {third_, &third_key_}};
    EXPECT_TRUE(engine_.rooms.load_heads().ok());
    add_routes(router_, api_);
    router_.set_before(authentication(api_));
    users::NewAccount account;
    account.localpart = "alice";
    EXPECT_TRUE(run(accounts_.register_user(account)).ok());
  }
  ~ServerTest() override { simulation_->crash(*inner_); }

  static crypto::SigningKey make_key(char c) {
    return std::move(
        *crypto::SigningKey::from_seed(KeyId::trusted(std::string("ed25519:") + c),
                                       base::base64_encode(as_bytes(std::string(32, c)))));
  }
  template <class T>
  T run(Task<T> task) {
    return runtime::outcome(*simulation_, runtime_, std::move(task));
  }

  // --- Requests ---

  const crypto::SigningKey& key_of(const ServerName& server) const {
    return server == other_ ? other_key_ : server == third_ ? third_key_ : key_;
  }
  std::string header(const ServerName& origin, std::string_view method, std::string_view target,
                     std::string_view body) const {
    return wire::authorize({method, target, origin, own_, body}, key_of(origin));
  }
  Task<void> perform(std::string method, std::string target, std::string body,
                     std::vector<std::string> headers, std::optional<Answer>& result) {
    http::Exchange exchange;
    exchange.served.set(static_cast<size_t>(http::Resource::kFederation));
    exchange.request.method = http::method_from(method);
    exchange.request.remote_address = address_;
    EXPECT_TRUE(http::parse_target(target, exchange.request).ok());
    WholeBody stream(body, reads_of_bodies_);
    exchange.request.body_stream = &stream;
    for (const std::string& value : headers)
      exchange.request.headers.add("Authorization", value);
    http::Response response = co_await router_.handle(exchange);
    std::string text;
    for (const http::Slice& slice : response.body)
      text.append(slice.bytes);
    Answer answer;
    answer.status = response.status;
    if (!text.empty()) answer.body = *json::parse(text, {.max_bytes = size_t{64} << 20});
    result = std::move(answer);
  }
  Answer raw(std::string method, std::string target, std::string body,
             std::vector<std::string> headers) {
    std::optional<Answer> result;
    runtime::spawn(
        runtime_, runtime_.shard(0), "request",
        perform(std::move(method), std::move(target), std::move(body), std::move(headers), result));
    EXPECT_TRUE(simulation_->run_until([&] { return result.has_value(); }, Millis(600'000)));
    return std::move(*result);
  }
  Answer get(const std::string& target, const ServerName& origin) {
    return raw("GET", target, "", {header(origin, "GET", target, "")});
  }
  Answer get(const std::string& target) { return get(target, other_); }
  Answer send(std::string_view method, const std::string& target, const json::Object& body,
              const ServerName& origin) {
    const std::string text = json::write(body);
    return raw(std::string(method), target, text, {header(origin, method, target, text)});
  }
  Answer put(const std::string& target, const json::Object& body) {
    return send("PUT", target, body, other_);
  }
  Answer post(const std::string& target, const json::Object& body) {
    return send("POST", target, body, other_);
  }
  Answer transaction(json::Array pdus, json::Array edus = {}) {
    return put("/_matrix/federation/v1/send/t" + std::to_string(++transactions_),
               {{"origin", other_.str()},
                {"origin_server_ts", 1},
                {"pdus", std::move(pdus)},
                {"edus", std::move(edus)}});
  }
  static std::string path(std::string_view prefix, std::initializer_list<std::string_view> parts) {
    return transport::path_of(prefix, parts);
  }
  size_t logged(std::string_view event) const {
    return static_cast<size_t>(std::ranges::count(runtime_.lines, event));
  }

  // --- Rooms ---

  // The room of alice, and of whoever joins it.
  RoomId create(std::string_view version = "12",
                json::Object join_rules = {{"join_rule", "public"}}) {
    simulation_->run_for(Millis(1));  // equal create events would be of one room
    const events::RoomVersionRules& rules = *events::find_room_version(version);
    json::Object content{{"room_version", version}};
    if (!rules.creator_is_sender) content.set("creator", alice_.str());
    json::Object users;
    if (!rules.privileged_creators) users.set(alice_.str(), 100);
    std::vector<rooms::LocalEvent> events;
    const auto add = [&](std::string_view type, std::string key, json::Object with) {
      events.push_back({.sender = alice_,
                        .type = std::string(type),
                        .state_key = std::move(key),
                        .content = std::move(with)});
    };
    add("m.room.create", "", std::move(content));
    add("m.room.member", alice_.str(), {{"membership", "join"}});
    add("m.room.power_levels", "", {{"users", std::move(users)}});
    add("m.room.join_rules", "", std::move(join_rules));
    const auto room = run(engine_.writer.create(rules, std::move(events)));
    EXPECT_TRUE(room.ok()) << room.error().message;
    return *room;
  }
  EventId say(const RoomId& room, std::string_view text) {
    const auto sent = run(engine_.writer.send(
        room, {.sender = alice_, .type = "m.room.message", .content = {{"body", text}}}));
    EXPECT_TRUE(sent.ok()) << sent.error().message;
    return sent->id;
  }
  EventId set_state(const RoomId& room, std::string type, std::string key, json::Object content) {
    const auto sent = run(engine_.writer.send(room, {.sender = alice_,
                                                     .type = std::move(type),
                                                     .state_key = std::move(key),
                                                     .content = std::move(content)}));
    EXPECT_TRUE(sent.ok()) << sent.error().message;
    return sent->id;
  }
  // An event of another server's user on the room's edge, signed by that server.
  events::EventPtr remote(const RoomId& room, rooms::LocalEvent event) {
    const ServerName server = ServerName::trusted(std::string(event.sender.server()));
    auto pdu = run(engine_.writer.make_template(room, std::move(event)));
    EXPECT_TRUE(pdu.ok()) << pdu.error().message;
    const events::RoomVersionRules& rules = *(*engine_.source().head(room))->rules;
    events::hash_and_sign(*pdu, rules, server, key_of(server));
    return *events::Event::parse(*std::move(pdu), rules);
  }
  events::EventPtr membership(const RoomId& room, const UserId& user, std::string_view value,
                              json::Object more = {}) {
    more.set("membership", value);
    return remote(room, {.sender = user,
                         .type = "m.room.member",
                         .state_key = user.str(),
                         .content = std::move(more)});
  }
  events::EventPtr message(const RoomId& room, std::string_view text) {
    return remote(room, {.sender = bob_, .type = "m.room.message", .content = {{"body", text}}});
  }
  void join(const RoomId& room, const UserId& user) {
    const auto event = membership(room, user, "join");
    const auto received =
        run(engine_.writer.receive(ServerName::trusted(std::string(user.server())), event));
    EXPECT_TRUE(received.ok()) << received.error().message;
    EXPECT_EQ(received->verdict, rooms::Verdict::kAccepted) << received->refusal;
  }
  // Another server's event with something changed, hashed and signed anew.
  events::EventPtr changed(const events::Event& event, std::string key, json::Value value) {
    json::Object pdu = event.object();
    pdu.set(std::move(key), std::move(value));
    pdu.erase("signatures");
    events::hash_and_sign(pdu, event.rules(), other_, other_key_);
    return *events::Event::parse(std::move(pdu), event.rules());
  }
  size_t joined(const RoomId& room) { return (*engine_.source().head(room))->record.joined; }
  kv::Position written() { return database_->last_position(); }
  stores::Membership membership_of(const RoomId& room, const UserId& user) {
    const auto user_number = *names_->find(stores::NameKind::kUser, user.view());
    const auto room_number = *names_->find(stores::NameKind::kRoom, room.view());
    if (!user_number || !room_number) return stores::Membership::kNone;
    const auto row = *stores::read_membership(*database_->snapshot(), *user_number, *room_number);
    return row ? row->membership : stores::Membership::kNone;
  }

  const ServerName own_ = ServerName::trusted("own.example");
  const ServerName other_ = ServerName::trusted("other.example");
  const ServerName third_ = ServerName::trusted("third.example");
  const UserId alice_ = UserId::trusted("@alice:own.example");
  const UserId bob_ = UserId::trusted("@bob:other.example");
  const UserId carol_ = UserId::trusted("@carol:third.example");
  const crypto::SigningKey key_ = make_key('1');
  const crypto::SigningKey other_key_ = make_key('2');
  const crypto::SigningKey third_key_ = make_key('3');
  int transactions_ = 0;
  kv::MemoryDisk disk_;
  std::unique_ptr<runtime::Simulation> simulation_ = runtime::Simulation::create(1);
  std::unique_ptr<runtime::Runtime> inner_ = simulation_->add_runtime("a");
  LoggedRuntime runtime_{*inner_};
  std::unique_ptr<kv::Database> database_ = kv::open_memory(stores::kColumns, disk_);
  std::unique_ptr<kv::Committer> committer_ = kv::Committer::create(runtime_, *database_);
  feed::Followers followers_{runtime_, *database_, *committer_};
  std::unique_ptr<stores::Names> names_ = *stores::Names::open(*database_);
  TestServers servers_{runtime_.clock()};
  TestRemote remote_;
  TestDeviceLists device_lists_;
  size_t reads_of_bodies_ = 0;
  keyring::Keyring keyring_{{runtime_, *database_, *committer_, servers_, own_, key_}};
  rooms::RoomEngine engine_{
      {runtime_, *database_, *committer_, *names_, own_, key_, keyring_, remote_}};
  const users::Parts user_parts_{runtime_, *database_, *committer_, *names_, own_};
  users::Accounts accounts_{user_parts_};
  users::Sessions sessions_{accounts_};
  users::DeviceKeys device_keys_{accounts_};
  users::DeviceMessages device_messages_{accounts_};
  users::Receipts receipts_{user_parts_};
  users::Typing typing_{runtime_.clock()};
  sender::Sender sender_{{runtime_, *database_, *committer_, followers_, *names_,
                          engine_.source().caches.nodes, servers_, own_}};
  http::RateLimits rate_limits_{runtime_.clock(), runtime_.random(), runtime_.log(), true,
                                http::default_rate_rules()};
  static constexpr size_t kRequestsAtOnce = 10;
  std::string address_ = "192.0.2.1";  // from which requests come
  Api api_{{runtime_, *database_, *committer_, engine_.writer, accounts_, device_keys_,
            device_messages_, receipts_, typing_, keyring_, servers_, sender_, device_lists_,
            rate_limits_, kRequestsAtOnce, "1.0"}};
  http::Router router_;
};

}  // namespace polder::federation_server
