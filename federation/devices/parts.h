// What this module is made of.
#pragma once

#include "federation/client/client.h"
#include "federation/sender/sender.h"
#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/users/data/device_messages.h"
#include "homeserver/users/keys/device_keys.h"
#include "storage/feed/followers.h"
#include "storage/kv/committer.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"

namespace polder::devices {

// All outlive the module.
struct Parts {
  runtime::Runtime& runtime;
  kv::Database& database;
  kv::Committer& committer;
  feed::Followers& followers;
  stores::Names& names;
  ServerName own_name;
  sender::Sender& sender;
  client::FederationClient& client;
  users::DeviceKeys& device_keys;
  users::DeviceMessages& device_messages;
};

}  // namespace polder::devices
