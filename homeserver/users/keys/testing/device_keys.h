// Users with keys on a store in memory: for tests.
#pragma once

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/users/keys/device_keys.h"
#include "homeserver/users/keys/testing/signing.h"
#include "homeserver/users/sessions/testing/sessions.h"

namespace polder::users {

inline json::Object parsed(std::string text) {
  std::ranges::replace(text, '\'', '"');
  auto object = json::parse_object(text);
  EXPECT_TRUE(object.ok()) << text;
  return object.ok() ? *object : json::Object();
}

class DeviceKeysTest : public SessionsTest {
 protected:
  DeviceKeysTest() { open_keys(); }
  ~DeviceKeysTest() override { end_keys(); }

  // As a program that ends and begins again.
  void restart() {
    end_keys();
    halt();
    boot();
    open();
    open_keys();
  }

  Session log_in(const std::string& name, const std::string& device) {
    NewAccount account;
    account.localpart = name;
    EXPECT_TRUE(run(accounts_->register_user(account)).ok());
    const UserId user = UserId::trusted("@" + name + ":own.example");
    NewSession wanted;
    wanted.device = DeviceId::trusted(device);
    wanted.display_name = "phone of " + name;
    return run(sessions_->log_in(user, wanted))->session;
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

  std::unique_ptr<DeviceKeys> keys_;
  std::unique_ptr<DeviceKeys> nameless_;

 private:
  void open_keys() {
    keys_ = std::make_unique<DeviceKeys>(*accounts_);
    nameless_ = std::make_unique<DeviceKeys>(*accounts_, DeviceKeysOptions{false});
  }
  void end_keys() {
    end_tasks();
    nameless_.reset();
    keys_.reset();
  }
};

}  // namespace polder::users
