// One homeserver: everything that it is made of, built in order and torn down in reverse.
#pragma once

#include <memory>
#include <string>

#include "homeserver/client_api/api.h"
#include "homeserver/crypto/keys.h"
#include "homeserver/http/router.h"
#include "homeserver/http/server.h"
#include "homeserver/rooms/engine.h"
#include "homeserver/server/config.h"
#include "homeserver/sync/sync.h"
#include "homeserver/users/account_data.h"
#include "homeserver/users/device_keys.h"
#include "homeserver/users/receipts.h"
#include "homeserver/users/users.h"
#include "storage/files/files.h"
#include "storage/kv/committer.h"
#include "storage/kv/kv.h"
#include "storage/stores/names.h"

namespace polder::server {

// What comes from outside (docs/architecture.md, decision 2).
struct Outside {
  runtime::Runtime& runtime;
  files::FileSystem& files;
  kv::Database& database;
  rooms::KeySource& keys;
  rooms::RemoteServers& remote;
};

class Homeserver {
 public:
  static Result<std::unique_ptr<Homeserver>> create(Config config, Outside outside);
  ~Homeserver();

  const Config& config() const { return config_; }
  const http::Router& router() const { return router_; }
  users::Users& users() { return *users_; }
  kv::Committer& committer() { return *committer_; }

 private:
  Homeserver(Config config, Outside outside, crypto::SigningKey key);
  Status open();
  void add_routes();
  client_api::Settings client_settings() const;

  const Config config_;
  const Outside outside_;
  const crypto::SigningKey signing_key_;
  std::unique_ptr<kv::Committer> committer_;
  std::unique_ptr<stores::Names> names_;
  std::unique_ptr<rooms::RoomEngine> engine_;
  std::unique_ptr<users::Users> users_;
  std::unique_ptr<users::AccountData> account_data_;
  std::unique_ptr<users::DeviceKeys> device_keys_;
  std::unique_ptr<users::Receipts> receipts_;
  std::unique_ptr<users::Typing> typing_;
  std::unique_ptr<sync::Sync> sync_;
  std::unique_ptr<client_api::Api> api_;
  http::Router router_;
};

}  // namespace polder::server
