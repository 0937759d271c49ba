// Users with keys on a store in memory: for tests.
#pragma once

#include <gtest/gtest.h>

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/base/runtime/simulated.h"
#include "homeserver/users/device_keys.h"
#include "homeserver/users/testing/signing.h"
#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"

namespace polder::users {

inline const ServerName kOwn = ServerName::trusted("own.example");

inline json::Object parsed(std::string text) {
  std::ranges::replace(text, '\'', '"');
  auto object = json::parse_object(text);
  EXPECT_TRUE(object.ok()) << text;
  return object.ok() ? *object : json::Object();
}

class DeviceKeysTest : public testing::Test {
 protected:
  DeviceKeysTest() { boot(); }
  ~DeviceKeysTest() override { halt(); }

  void boot() {
    simulation_ = runtime::Simulation::create(++boots_);
    runtime_ = simulation_->add_runtime("a");
    database_ = kv::open_memory(stores::kColumns, disk_);
    committer_ = kv::Committer::create(*runtime_, *database_);
    committer_->on_visible([this](kv::Position) { ++groups_; });
    names_ = *stores::Names::open(*database_);
    const Parts parts{*runtime_, *database_, *committer_, *names_, kOwn};
    users_ = std::make_unique<Users>(parts);
    keys_ = std::make_unique<DeviceKeys>(*users_);
    nameless_ = std::make_unique<DeviceKeys>(*users_, DeviceKeysOptions{false});
  }
  void halt() {
    simulation_->crash(*runtime_);
    nameless_.reset();
    keys_.reset();
    users_.reset();
    names_.reset();
    committer_.reset();
    database_.reset();
    runtime_.reset();
    simulation_.reset();
  }
  template <class T>
  T run(Task<T> task) {
    std::optional<T> result;
    runtime::spawn(*runtime_, runtime_->shard(0), "test", keep(std::move(task), result));
    EXPECT_TRUE(simulation_->run_until([&] { return result.has_value(); }, Millis(60'000)));
    return std::move(*result);
  }
  template <class T>
  static Task<void> keep(Task<T> task, std::optional<T>& result) {
    result.emplace(co_await std::move(task));
  }

  Session log_in(const std::string& name, const std::string& device) {
    NewAccount account;
    account.localpart = name;
    EXPECT_TRUE(run(users_->register_user(account)).ok());
    const UserId user = UserId::trusted("@" + name + ":own.example");
    NewSession wanted;
    wanted.device = DeviceId::trusted(device);
    wanted.display_name = "phone of " + name;
    return run(users_->log_in(user, wanted))->session;
  }
  static json::Object device_keys(const Session& session, const std::string& extra = "") {
    const std::string user = session.user.str();
    const std::string device = session.device.str();
    return parsed("{'user_id':'" + user + "','device_id':'" + device +
                  "','algorithms':['m.olm'],'keys':{'ed25519:" + device + "':'k'},'signatures':{'" +
                  user + "':{'ed25519:" + device + "':'s'}" + extra + "}}");
  }
  Status upload(const Session& session, json::Object body) {
    const auto counts = run(keys_->upload(session, std::move(body)));
    return counts.ok() ? Status() : Status(counts.error());
  }
  // The first cross-signing keys of a user.
  CrossSigningKeys upload_signing_keys(const Session& session) {
    CrossSigningKeys made(session.user);
    EXPECT_EQ(*run(keys_->upload_cross_signing(session, made.upload(), false)),
              CrossSigning::kStored);
    return made;
  }
  size_t inbox(const Session& session) {
    return stores::read_to_device(*database_->snapshot(), session.number, session.device, 0,
                                  committer_->visible(), 100)
        ->size();
  }

  uint64_t boots_ = 0;
  size_t groups_ = 0;  // that were written
  kv::MemoryDisk disk_;
  std::unique_ptr<runtime::Simulation> simulation_;
  std::unique_ptr<runtime::Runtime> runtime_;
  std::unique_ptr<kv::Database> database_;
  std::unique_ptr<kv::Committer> committer_;
  std::unique_ptr<stores::Names> names_;
  std::unique_ptr<Users> users_;
  std::unique_ptr<DeviceKeys> keys_;
  std::unique_ptr<DeviceKeys> nameless_;
};

}  // namespace polder::users
