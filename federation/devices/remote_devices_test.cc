#include "federation/devices/remote_devices.h"

#include "federation/devices/testing/world.h"

namespace polder::devices {
namespace {

const std::string kDevicesPath = "/_matrix/federation/v1/user/devices/%40bob%3Ab.example";
constexpr const char* kKeyQueryPath = "/_matrix/federation/v1/user/keys/query";

class RemoteDevicesTest : public WorldTest {
 protected:
  RemoteDevicesTest() {
    join(1, kAlice);
    join(1, kBob);
  }

  // What Bob's server answers.
  void set_devices(int64_t stream_id, const std::map<std::string, std::string>& devices) {
    json::Array list;
    json::Object by_device;
    for (const auto& [id, key] : devices) {
      list.emplace_back(json::Object{{"device_id", id}, {"keys", keys_of(kBob, id, key)}});
      by_device.set(id, keys_of(kBob, id, key));
    }
    servers_->answers[kDevicesPath] = {
        {"user_id", kBob.str()}, {"stream_id", stream_id}, {"devices", std::move(list)}};
    servers_->answers[kKeyQueryPath] = {
        {"device_keys", json::object({{kBob.str(), std::move(by_device)}})}};
  }
  static json::Object update(int64_t stream_id, std::vector<int64_t> prev_ids,
                             const std::string& device, const std::string& key) {
    json::Array prev;
    for (const int64_t id : prev_ids)
      prev.emplace_back(id);
    return {{"user_id", kBob.str()},
            {"device_id", device},
            {"stream_id", stream_id},
            {"prev_id", std::move(prev)},
            {"keys", keys_of(kBob, device, key)}};
  }
  void receive(json::Object content, const ServerName& origin = kB) {
    wait(devices_->remote.device_list_update(origin, std::move(content)));
  }
  // "A=key B=key", as a local client sees Bob's devices.
  std::string query() {
    const auto answer = query_keys({{kBob, {}}});
    EXPECT_TRUE(answer.ok());
    const json::Value* devices = json::at(answer->keys, {"device_keys", kBob.view()});
    if (devices == nullptr) return answer->failures.empty() ? "none" : "failed";
    std::string text;
    for (const auto& [id, keys] : *devices->as_object()) {
      const json::Value* key = json::at(*keys.as_object(), {"keys", "ed25519:" + id});
      text += (text.empty() ? "" : " ") + id + "=" + *key->as_string();
    }
    return text;
  }
  // The list is followed from then on.
  void follow() {
    query();
    run(1000);
    servers_->calls.clear();
    told();
  }
  bool changed_for_clients(kv::Position since) {
    const auto users =
        *stores::read_device_list_changes(*database_->snapshot(), since, committer_->visible());
    return users == std::vector{number(kBob)};
  }
};

TEST_F(RemoteDevicesTest, AListIsAskedForOnceAndThenKnown) {
  start();
  set_devices(5, {{"A", "a"}, {"B", "b"}});
  EXPECT_EQ(query(), "A=a B=b");
  run(1000);
  EXPECT_EQ(servers_->calls[kKeyQueryPath], 1);
  EXPECT_EQ(servers_->calls[kDevicesPath], 1);
  servers_->down = {kB};
  EXPECT_EQ(query(), "A=a B=b");
  halt();
  boot();
  start();
  servers_->down = {kB};
  EXPECT_EQ(query(), "A=a B=b");
}

TEST_F(RemoteDevicesTest, UpdatesAreAppliedInTheirSequence) {
  start();
  set_devices(5, {{"A", "a"}});
  follow();
  const kv::Position before = committer_->visible();
  receive(update(7, {5}, "B", "b"));
  EXPECT_TRUE(changed_for_clients(before));
  EXPECT_EQ(told(), std::vector{number(kBob)});
  receive(update(9, {7}, "A", "a2"));
  EXPECT_EQ(query(), "A=a2 B=b");
  json::Object gone = update(11, {9}, "B", "b");
  gone.set("deleted", true);
  receive(gone);
  EXPECT_EQ(query(), "A=a2");
  // Once more, and one that came late: nothing changes.
  told();
  receive(update(7, {5}, "B", "b"));
  receive(update(11, {9}, "C", "c"));
  EXPECT_EQ(query(), "A=a2");
  EXPECT_TRUE(told().empty());
  EXPECT_TRUE(servers_->calls.empty());
}

// As they come when a user enters a room: clients are told of who enters anyway.
TEST_F(RemoteDevicesTest, UpdatesThatChangeNothingDisturbNobody) {
  start();
  json::Object keyless = update(3, {}, "A", "a");
  keyless.erase("keys");
  receive(keyless);
  EXPECT_TRUE(told().empty()) << "no device to encrypt for";
  set_devices(5, {{"A", "a"}});
  follow();
  const kv::Position before = committer_->visible();
  receive(update(7, {5}, "A", "a"));
  EXPECT_TRUE(told().empty());
  EXPECT_FALSE(changed_for_clients(before));
  receive(update(9, {7}, "A", "a2"));
  EXPECT_EQ(told(), std::vector{number(kBob)}) << "and it counted as one of the sequence";
  EXPECT_EQ(query(), "A=a2");
  EXPECT_TRUE(servers_->calls.empty());
}

TEST_F(RemoteDevicesTest, AGapMakesTheListBeAskedForOnce) {
  const std::vector<std::vector<int64_t>> gaps = {{7}, {5, 7}, {}};
  for (const std::vector<int64_t>& prev : gaps) {
    start();
    set_devices(5, {{"A", "a"}});
    follow();
    set_devices(9, {{"A", "a"}, {"C", "c"}});
    const kv::Position before = committer_->visible();
    receive(update(9, prev, "C", "c"));
    EXPECT_TRUE(changed_for_clients(before));
    run(60'000);
    EXPECT_EQ(servers_->calls[kDevicesPath], 1);
    servers_->down = {kB};
    EXPECT_EQ(query(), "A=a C=c");
    commit([&](kv::Batch& batch) { stores::erase_remote_device_list(batch, number(kBob)); });
    halt();
    boot();
  }
}

TEST_F(RemoteDevicesTest, AChangeWhileTheListIsAskedForIsNotLost) {
  start();
  set_devices(5, {{"A", "a"}});
  servers_->answer_after = Millis(1000);
  devices_->remote.follow(kBob, number(kAlice));
  run(500);
  receive(update(6, {5}, "B", "b"));
  EXPECT_EQ(query(), "A=a");  // as the server still says; not from a list that is known
  set_devices(6, {{"A", "a"}, {"B", "b"}});
  run(60'000);
  servers_->down = {kB};
  EXPECT_EQ(query(), "A=a B=b");
}

TEST_F(RemoteDevicesTest, AServerThatIsDownIsAskedWithGrowingPausesAndNotForever) {
  start();
  set_devices(5, {{"A", "a"}});
  follow();
  servers_->down = {kB};
  receive(update(9, {8}, "C", "c"));
  receive(update(12, {11}, "C", "c"));
  run(60'000);
  EXPECT_GE(servers_->calls[kDevicesPath], 2);
  EXPECT_LE(servers_->calls[kDevicesPath], 4);
  run(24 * 3'600'000);
  EXPECT_LE(servers_->calls[kDevicesPath], 10);
  EXPECT_EQ(query(), "failed");
}

TEST_F(RemoteDevicesTest, SpoofedAndMalformedUpdatesAreIgnored) {
  start();
  set_devices(5, {{"A", "a"}});
  follow();
  const auto with = [&](const char* name, json::Value value) {
    json::Object content = update(7, {5}, "B", "b");
    content.set(name, std::move(value));
    return content;
  };
  const auto without = [&](const char* name) {
    json::Object content = update(7, {5}, "B", "b");
    content.erase(name);
    return content;
  };
  receive(update(7, {5}, "B", "b"), kC);  // not of the origin
  const std::vector<json::Object> malformed = {
      with("user_id", kCarol.str()),
      with("user_id", kAlice.str()),
      with("user_id", 1),
      with("device_id", ""),
      with("stream_id", "7"),
      with("prev_id", 5),
      with("prev_id", json::Array{"5"}),
      with("prev_id", json::Array(1000, json::Value(5))),
      with("keys", "text"),
      with("keys", keys_of(kCarol, "B")),
      with("keys", keys_of(kBob, "A")),
      with("keys", json::Object()),
      without("user_id"),
      without("device_id"),
      without("stream_id"),
  };
  const kv::Position before = committer_->visible();
  for (const json::Object& content : malformed)
    receive(content);
  EXPECT_EQ(committer_->visible(), before);
  EXPECT_TRUE(told().empty());
  EXPECT_EQ(query(), "A=a");
  receive(update(7, {5}, "B", "b"));
  EXPECT_EQ(query(), "A=a B=b");
}

TEST_F(RemoteDevicesTest, MalformedKeysOfAListAreLeftOut) {
  start();
  set_devices(5, {{"A", "a"}});
  json::Object bad = keys_of(kBob, "B");
  bad.set("keys", json::object({{"ed25519:other", "k"}}));
  servers_->answers[kDevicesPath].find("devices")->as_array()->emplace_back(
      json::Object{{"device_id", "B"}, {"keys", bad}});
  servers_->answers[kDevicesPath].set("master_key", signing_key_of(kCarol, "master", "m"));
  servers_->answers[kDevicesPath].set("self_signing_key",
                                      signing_key_of(kBob, "master", "not for self-signing"));
  follow();
  servers_->down = {kB};
  EXPECT_EQ(query(), "A=a");
  const auto answer = query_keys({{kBob, {}}});
  EXPECT_TRUE(answer->keys.find_object("master_keys")->empty());
  EXPECT_TRUE(answer->keys.find_object("self_signing_keys")->empty());
}

TEST_F(RemoteDevicesTest, UpdatesOfWhoSharesNoRoomAreIgnored) {
  start();
  set_devices(5, {{"A", "a"}});
  follow();
  leave(1, kBob);
  const kv::Position before = committer_->visible();
  receive(update(7, {5}, "B", "b"));
  EXPECT_EQ(
      *stores::read_device_list_changes(*database_->snapshot(), before, committer_->visible()),
      std::vector<stores::UserNumber>());
  EXPECT_FALSE(stores::read_remote_device_list(*database_->snapshot(), number(kBob))->has_value());
  EXPECT_TRUE(told().empty());
}

// While no room was shared, Bob's server told of nothing.
TEST_F(RemoteDevicesTest, AListIsNotKnownAnyMoreOnceEitherHasLeft) {
  for (const UserId& leaver : {kAlice, kBob}) {
    start();
    set_devices(5, {{"A", "a"}});
    follow();
    servers_->down = {kB};
    EXPECT_EQ(query(), "A=a");
    leave(1, leaver);
    EXPECT_EQ(query(), "failed");
    join(1, leaver);
    EXPECT_EQ(query(), "failed");
    servers_->down.clear();
    set_devices(6, {{"A", "new"}});
    follow();
    run(60'000);
    servers_->down = {kB};
    EXPECT_EQ(query(), "A=new");
    commit([&](kv::Batch& batch) { stores::erase_remote_device_list(batch, number(kBob)); });
    halt();
    boot();
  }
}

TEST_F(RemoteDevicesTest, OnlyTheLastChangeOfAUserIsKept) {
  start();
  set_devices(0, {});
  follow();
  for (int64_t i = 1; i <= 20; ++i)
    receive(update(i, i == 1 ? std::vector<int64_t>() : std::vector<int64_t>{i - 1}, "A",
                   std::to_string(i)));
  EXPECT_EQ(query(), "A=20");
  EXPECT_EQ(
      stores::read_device_list_log(*database_->snapshot(), 0, committer_->visible(), 100)->size(),
      1u);
}

TEST_F(RemoteDevicesTest, SigningKeysAreReplacedIfTheyAreTheUsersOwn) {
  start();
  set_devices(5, {{"A", "a"}});
  follow();
  const auto master = [&] {
    const auto answer = query_keys({{kBob, {}}});
    const json::Object* key = answer->keys.find_object("master_keys")->find_object(kBob.view());
    return key == nullptr ? "none" : key->find_object("keys")->begin()->first;
  };
  const auto content = [](const UserId& user, json::Object key) {
    return json::Object{{"user_id", user.str()}, {"master_key", std::move(key)}};
  };
  auto& remote = devices_->remote;
  wait(remote.signing_key_update(kC, content(kBob, signing_key_of(kBob, "master", "x"))));
  wait(remote.signing_key_update(kB, content(kBob, signing_key_of(kCarol, "master", "x"))));
  wait(remote.signing_key_update(kB, content(kBob, signing_key_of(kBob, "user_signing", "x"))));
  wait(remote.signing_key_update(kB, content(kCarol, signing_key_of(kCarol, "master", "x"))));
  wait(remote.signing_key_update(kB, {{"user_id", kBob.str()}}));
  EXPECT_EQ(master(), "none");
  EXPECT_TRUE(told().empty());
  wait(remote.signing_key_update(kB, content(kBob, signing_key_of(kBob, "master", "m"))));
  EXPECT_EQ(master(), "ed25519:m");
  EXPECT_EQ(told(), std::vector{number(kBob)});
}

}  // namespace
}  // namespace polder::devices
