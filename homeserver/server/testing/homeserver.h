// A whole homeserver in one process, without a network, and a client of it: for tests.
#pragma once

#include <filesystem>
#include <functional>

#include "homeserver/base/crypto/hash.h"
#include "homeserver/base/runtime/simulated.h"
#include "homeserver/base/runtime/testing/outcome.h"
#include "homeserver/base/values/bytes.h"
#include "homeserver/server/homeserver.h"
#include "homeserver/server/offline.h"
#include "homeserver/server/testing/client.h"
#include "homeserver/users/accounts/accounts.h"
#include "homeserver/users/sessions/sessions.h"
#include "storage/files/files.h"
#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"

namespace polder::server {

class HomeserverTest : public testing::Test {
 protected:
  HomeserverTest() {
    std::string pattern = testing::TempDir() + "polder-server-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    start();
  }
  ~HomeserverTest() override {
    stop();
    std::filesystem::remove_all(directory_);
  }

  void start() {
    simulation_ = runtime::Simulation::create(++starts_);
    runtime_ = simulation_->add_runtime("a");
    database_ = kv::open_memory(stores::kColumns, disk_);
    Config config;
    config.server_name = ServerName::trusted("own");
    config.data_dir = directory_;
    config.registration.enabled = true;
    config.registration.shared_secret = "secret";
    config.registration.allow_guests = guests_;
    config.limits.rate_limits = rate_limits_;
    configure_(config);
    homeserver_ = std::move(*Homeserver::create(
        config, {*runtime_, *files_, *database_, transport_, resolver_, {}, identities_}));
  }
  void stop() {
    simulation_->crash(*runtime_);
    homeserver_.reset();
    database_.reset();
    runtime_.reset();
    simulation_.reset();
  }
  void crash() {
    stop();
    disk_.power_loss();
    start();
  }

  // A request whose answer may take a while.
  std::shared_ptr<std::optional<Answer>> begin(std::string method, std::string target,
                                               std::string token, std::string body) {
    auto result = std::make_shared<std::optional<Answer>>();
    runtime::spawn(*runtime_, runtime_->shard(0), "request",
                   perform(method, target, token, body, result));
    return result;
  }
  Task<void> perform(std::string method, std::string target, std::string token, std::string body,
                     std::shared_ptr<std::optional<Answer>> result) {
    ClientCall call{std::move(method), std::move(target), std::move(token), std::move(body),
                    address_};
    *result = co_await ask(homeserver_->router(), std::move(call));
  }
  Answer call(std::string method, std::string target, std::string token = "",
              std::string body = "") {
    const auto result =
        begin(std::move(method), std::move(target), std::move(token), std::move(body));
    EXPECT_TRUE(simulation_->run_until([&] { return result->has_value(); }, Millis(120'000)));
    return **result;
  }

  // Of a new account with the password "pw". It is hashed once for all tests: that takes longer
  // than most of them.
  std::string join_token(const std::string& name) {
    static const std::string hash = *crypto::hash_password("pw");
    users::NewAccount account;
    account.localpart = name;
    account.password_hash = hash;
    return token_of(std::move(account));
  }
  // Of an administrator whose account is made with it.
  std::string admin_token() {
    users::NewAccount account;
    account.localpart = "root";
    account.admin = true;
    return token_of(std::move(account));
  }
  std::string token_of(users::NewAccount account) {
    const auto made = runtime::outcome(*simulation_, *runtime_,
                                       make_account(*homeserver_, std::move(account), address_));
    EXPECT_TRUE(made.ok());
    return made.ok() ? made->access_token : "";
  }
  static Task<Result<users::SessionToken>> make_account(Homeserver& homeserver,
                                                        users::NewAccount account,
                                                        std::string address) {
    POLDER_CO_TRY(const UserId user,
                  co_await homeserver.accounts().register_user(std::move(account)));
    users::NewSession session;
    session.address = std::move(address);
    co_return co_await homeserver.sessions().log_in(user, std::move(session));
  }
  std::string create_room(const std::string& token, const std::string& body = "{}") {
    const Answer made = call("POST", "/_matrix/client/v3/createRoom", token, body);
    EXPECT_EQ(made.status, 200) << made.text({"error"});
    return made.text({"room_id"});
  }
  // The content of a setting of who sees the history; and a public room that begins with it.
  static std::string visibility(std::string_view setting) {
    return R"({"history_visibility":")" + std::string(setting) + "\"}";
  }
  std::string room_with_visibility(const std::string& token, std::string_view setting) {
    return create_room(
        token, R"({"preset":"public_chat","initial_state":[{"type":"m.room.history_visibility",)"
               R"("content":)" +
                   visibility(setting) + "}]}");
  }
  // Joins, leaves, or does something to another user of this server.
  void act(const std::string& token, const std::string& room, const std::string& what,
           const std::string& target = "") {
    const std::string body = target.empty() ? "{}" : R"({"user_id":"@)" + target + R"(:own"})";
    EXPECT_EQ(call("POST", rooms(room, "/" + what), token, body).status, 200) << what;
  }
  Answer post(const std::string& path, const std::string& token, json::Object body) {
    return call("POST", "/_matrix/client/v3" + path, token, json::write(body));
  }
  // With what proves that it is the user of join_token().
  static json::Object with_password(json::Object body, const std::string& name) {
    body.set("auth",
             json::object({{"type", "m.login.password"},
                           {"password", "pw"},
                           {"identifier", json::object({{"type", "m.id.user"}, {"user", name}})}}));
    return body;
  }
  static std::string rooms(const std::string& room, const std::string& rest) {
    return "/_matrix/client/v3/rooms/" + room + rest;
  }
  Answer say(const std::string& token, const std::string& room, const std::string& text,
             const std::string& txn) {
    return call("PUT", rooms(room, "/send/m.room.message/" + txn), token,
                R"({"body":")" + text + R"(","msgtype":"m.text"})");
  }
  Answer sync(const std::string& token, const std::string& since = "",
              const std::string& filter = "{}") {
    std::string target = "/_matrix/client/v3/sync?filter=" + base::percent_encode(filter);
    if (!since.empty()) target += "&since=" + since;
    return call("GET", std::move(target), token);
  }
  // A bridge that has the users @_irc_… (or others) and the aliases #_irc_… for itself; from the
  // next start.
  void register_bridge(const std::string& users = "@_irc_.*") {
    const std::string directory = directory_ + "/appservices";
    EXPECT_TRUE(files_->create_directories(directory).ok());
    const std::string registration =
        R"({id: irc, url: null, as_token: as, hs_token: hs, sender_localpart: ircbot, namespaces: {
              users: [{exclusive: true, regex: ")" +
        users + R"("}, {exclusive: false, regex: "@seen_.*"}],
              aliases: [{exclusive: true, regex: "#_irc_.*"}]}})";
    EXPECT_TRUE(files_->write_atomically(directory + "/irc.yaml", registration).ok());
    configure_ = [directory](Config& config) { config.appservices.directory = directory; };
  }
  // The bodies of the messages in a room's timeline of a sync.
  static std::string bodies(const Answer& sync, const std::string& room) {
    std::string all;
    const json::Value* events =
        json::at(*sync.body.as_object(), {"rooms", "join", room, "timeline", "events"});
    if (events == nullptr) return "none";
    for (const json::Value& event : *events->as_array()) {
      if (const json::Value* body = json::at(*event.as_object(), {"content", "body"}))
        all += *body->as_string() + ";";
    }
    return all;
  }

  std::string directory_;
  uint64_t starts_ = 0;
  bool rate_limits_ = false;                                 // from the next start
  bool guests_ = false;                                      // likewise: may register
  std::function<void(Config&)> configure_ = [](Config&) {};  // likewise
  users::IdentityProvider* identities_ = nullptr;            // likewise
  std::string address_ = "192.0.2.1";                        // from which the client asks
  std::unique_ptr<files::FileSystem> files_ = files::real_files();
  OfflineTransport transport_;
  OfflineResolver resolver_;
  kv::MemoryDisk disk_;
  std::unique_ptr<runtime::Simulation> simulation_;
  std::unique_ptr<runtime::Runtime> runtime_;
  std::unique_ptr<kv::Database> database_;
  std::unique_ptr<Homeserver> homeserver_;
};

// Alice and bob in one room.
class TwoInARoomTest : public HomeserverTest {
 protected:
  void SetUp() override {
    alice_ = join_token("alice");
    bob_ = join_token("bob");
    room_ = create_room(alice_, R"({"preset":"public_chat"})");
    EXPECT_EQ(call("POST", rooms(room_, "/join"), bob_).status, 200);
  }
  static std::string next(const Answer& answer) { return answer.text({"next_batch"}); }

  std::string alice_, bob_, room_;
};

}  // namespace polder::server
