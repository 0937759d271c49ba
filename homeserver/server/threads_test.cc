// A whole homeserver on real threads, for the thread sanitizer: several shards, several users at
// once, in memory.
#include <atomic>
#include <filesystem>
#include <thread>

#include "homeserver/base/http/router.h"
#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/runtime/threads.h"
#include "homeserver/server/homeserver.h"
#include "homeserver/server/offline.h"
#include "homeserver/users/accounts/accounts.h"
#include "homeserver/users/sessions/sessions.h"
#include "storage/files/files.h"
#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"
#include "storage/stores/check/check.h"

namespace polder::server {
namespace {

constexpr size_t kShards = 3;
constexpr int kUsers = 4;
constexpr int kRooms = 3;
constexpr int kMessages = 12;  // of each user in each room

class ThreadsTest : public testing::Test {
 protected:
  ThreadsTest() {
    std::string pattern = testing::TempDir() + "polder-threads-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    runtime_ =
        runtime::Threads::create({.shards = kShards, .pool_threads = 3}, clock_, random_, log_);
    database_ = kv::open_memory(stores::kColumns, disk_);
    Config config;
    config.server_name = ServerName::trusted("own");
    config.data_dir = directory_;
    config.registration.enabled = true;
    config.limits.rate_limits = false;
    homeserver_ = std::move(
        *Homeserver::create(config, {*runtime_, *files_, *database_, transport_, resolver_}));
    EXPECT_TRUE(homeserver_->start().ok());
    thread_ = std::thread([this] { runtime_->run(); });
  }
  ~ThreadsTest() override {
    runtime_->stop();
    thread_.join();
    homeserver_.reset();
    std::filesystem::remove_all(directory_);
  }

  // A request on the calling shard; its answer's JSON.
  static Task<json::Object> call(const http::Router& router, std::string method, std::string target,
                                 std::string token, std::string body) {
    http::Exchange exchange;
    exchange.served.set();
    exchange.request.method = http::method_from(method);
    EXPECT_TRUE(http::parse_target(target, exchange.request).ok());
    exchange.request.body = body;
    if (!token.empty()) exchange.request.headers.add("Authorization", "Bearer " + token);
    const http::Response response = co_await router.handle(exchange);
    if (exchange.answered) exchange.answered();
    EXPECT_EQ(response.status, 200) << method << " " << target;
    std::string text;
    for (const http::Slice& slice : response.body)
      text.append(slice.bytes);
    co_return *json::parse_object(text);
  }

  struct Person {
    std::string name, token, device;
  };

  // Every person's tasks, each on a shard of its own choice, until all have ended.
  void run_all(std::vector<std::function<Task<void>(const http::Router&)>> tasks) {
    std::atomic<size_t> left = tasks.size();
    size_t shard = 0;
    for (auto& task : tasks) {
      runtime::spawn(*runtime_, runtime_->shard(shard++ % kShards), "person",
                     [](std::function<Task<void>(const http::Router&)> body,
                        const http::Router& router, std::atomic<size_t>& count) -> Task<void> {
                       co_await body(router);
                       if (--count == 0) count.notify_all();
                     }(std::move(task), homeserver_->router(), left));
    }
    for (size_t now = left; now != 0; now = left)
      left.wait(now);
  }

  static Task<void> sign_up(const http::Router& router, Person& person) {
    const json::Object made = co_await call(
        router, "POST", "/_matrix/client/v3/register", "",
        R"({"username":")" + person.name + R"(","password":"pw","auth":{"type":"m.login.dummy"}})");
    person.token = *made.find_string("access_token");
    person.device = *made.find_string("device_id");
  }

  static Task<void> talk(const http::Router& router, const Person& person,
                         const std::vector<std::string>& rooms, int number) {
    const std::string base = "/_matrix/client/v3/rooms/";
    for (int i = 0; i < kMessages; ++i) {
      for (const std::string& room : rooms) {
        const std::string id = std::to_string(i);
        const json::Object sent =
            co_await call(router, "PUT", base + room + "/send/m.room.message/" + id, person.token,
                          R"({"body":")" + id + R"(","msgtype":"m.text"})");
        co_await call(router, "POST",
                      base + room + "/receipt/m.read/" + *sent.find_string("event_id"),
                      person.token, "{}");
        co_await call(router, "PUT", base + room + "/typing/@" + person.name + ":own", person.token,
                      R"({"typing":true})");
      }
      co_await call(
          router, "PUT", "/_matrix/client/v3/sendToDevice/m.test/" + std::to_string(i),
          person.token,
          R"({"messages":{"@user)" + std::to_string((number + 1) % kUsers) + R"(:own":{"*":{}}}})");
    }
  }

  // Syncs until everybody's messages of all rooms have come, each once.
  static Task<void> listen(const http::Router& router, const Person& person, size_t expected) {
    std::set<std::string> seen;
    std::string since;
    while (seen.size() < expected) {
      const json::Object answer = co_await call(
          router, "GET",
          "/_matrix/client/v3/sync?timeout=1000&filter=%7B%22room%22%3A%7B%22timeline%22%3A%7B%22"
          "limit%22%3A1000%7D%7D%7D" +
              (since.empty() ? std::string() : "&since=" + since),
          person.token, "");
      since = *answer.find_string("next_batch");
      const json::Object* joined = answer.find_object("rooms")->find_object("join");
      if (joined == nullptr) continue;
      for (const auto& [room, content] : *joined) {
        for (const json::Value& event :
             *content.as_object()->find_object("timeline")->find_array("events")) {
          if (*event.as_object()->find_string("type") != "m.room.message") continue;
          EXPECT_TRUE(seen.insert(*event.as_object()->find_string("event_id")).second);
        }
      }
    }
  }

  base::SystemClock clock_;
  base::SystemRandom random_;
  base::NullLog log_;
  std::string directory_;
  std::unique_ptr<files::FileSystem> files_ = files::real_files();
  kv::MemoryDisk disk_;
  OfflineTransport transport_;
  OfflineResolver resolver_;
  std::unique_ptr<runtime::Threads> runtime_;
  std::unique_ptr<kv::Database> database_;
  std::unique_ptr<Homeserver> homeserver_;
  std::thread thread_;
};

TEST_F(ThreadsTest, ManyTalkAndListenAtOnce) {
  std::vector<Person> people(kUsers);
  std::vector<std::function<Task<void>(const http::Router&)>> tasks;
  for (int i = 0; i < kUsers; ++i) {
    people[static_cast<size_t>(i)].name = "user" + std::to_string(i);
    tasks.emplace_back([&people, i](const http::Router& router) {
      return sign_up(router, people[static_cast<size_t>(i)]);
    });
  }
  run_all(std::move(tasks));
  std::vector<std::string> rooms(kRooms);
  tasks.clear();
  for (std::string& room : rooms) {
    tasks.emplace_back([&people, &room](const http::Router& router) -> Task<void> {
      return [](const http::Router& at, const std::vector<Person>& all,
                std::string& made) -> Task<void> {
        const json::Object created = co_await call(at, "POST", "/_matrix/client/v3/createRoom",
                                                   all[0].token, R"({"preset":"public_chat"})");
        made = *created.find_string("room_id");
        for (size_t i = 1; i < all.size(); ++i)
          co_await call(at, "POST", "/_matrix/client/v3/join/" + made, all[i].token, "{}");
      }(router, people, room);
    });
  }
  run_all(std::move(tasks));
  tasks.clear();
  constexpr size_t kExpected = kUsers * kRooms * kMessages;
  for (int i = 0; i < kUsers; ++i) {
    const Person& person = people[static_cast<size_t>(i)];
    tasks.emplace_back([&person, &rooms, i](const http::Router& router) {
      return talk(router, person, rooms, i);
    });
    tasks.emplace_back(
        [&person](const http::Router& router) { return listen(router, person, kExpected); });
  }
  run_all(std::move(tasks));
  EXPECT_EQ(stores::check_database(*database_->snapshot())->faults, std::vector<std::string>{});
}

}  // namespace
}  // namespace polder::server
