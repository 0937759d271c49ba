// What this module is made of.
#pragma once

#include <functional>

#include "federation/client/client.h"
#include "federation/sender/sender.h"
#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/users/device_keys.h"
#include "storage/kv/committer.h"
#include "storage/kv/kv.h"
#include "storage/stores/names.h"

namespace polder::devices {

// All outlive the module.
struct Parts {
  runtime::Runtime& runtime;
  kv::Database& database;
  kv::Committer& committer;
  stores::Names& names;
  ServerName own_name;
  sender::Sender& sender;
  client::FederationClient& client;
  users::DeviceKeys& device_keys;
  // The devices of another server's user changed: local users who share a room are to be told.
  // Called on shard 0.
  std::function<void(stores::UserNumber)> remote_list_changed;
};

}  // namespace polder::devices
