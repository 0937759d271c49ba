// What the client-server API's handlers share: the services, the caller, and the errors on the
// wire.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "appservices/registry/registry.h"
#include "homeserver/api/kit/operations.h"
#include "homeserver/api/kit/respond.h"
#include "homeserver/base/http/errors.h"
#include "homeserver/base/http/router.h"
#include "homeserver/base/json/value.h"
#include "homeserver/base/runtime/sync.h"
#include "homeserver/base/values/mutex.h"
#include "homeserver/rooms/model/source.h"
#include "homeserver/users/accounts/accounts.h"
#include "homeserver/users/accounts/identity_provider.h"
#include "homeserver/users/authentication/interactive_authentication.h"
#include "homeserver/users/data/account_data.h"
#include "homeserver/users/data/receipts.h"
#include "homeserver/users/sessions/sessions.h"

// What routes use of these, they include: none is compiled anew for what others use.
namespace polder::client {
class FederationClient;
}  // namespace polder::client
namespace polder::devices {
class Devices;
}  // namespace polder::devices
namespace polder::entry {
class RoomEntry;
}  // namespace polder::entry
namespace polder::push {
class Rules;
}  // namespace polder::push
namespace polder::rooms {
class RoomWriter;
}  // namespace polder::rooms
namespace polder::sync {
class Sync;
}  // namespace polder::sync
namespace polder::users {
class DeviceKeys;
}  // namespace polder::users

namespace polder::client_api {

// Settings that the API's answers depend on.
struct Settings {
  bool registration_enabled = false;
  bool guests_allowed = false;
  std::vector<std::string> registration_tokens;  // of which one is needed; none: nobody needs one
  std::string registration_secret;
  std::string default_room_version;
  std::string public_base_url;
  std::string federation_address;  // where other servers reach this one; empty: they are not told
  std::vector<std::string> turn_uris;
  std::string turn_secret;
  int64_t turn_ttl_s = 0;
  std::shared_ptr<const appservices::Registry> appservices =
      std::make_shared<const appservices::Registry>();
};

// The settings of now. Thread-safe: who has got them keeps them as they were.
class CurrentSettings {
 public:
  explicit CurrentSettings(Settings settings) { set(std::move(settings)); }
  std::shared_ptr<const Settings> get() const {
    const base::Lock lock(mutex_);
    return settings_;
  }
  // For one look at one of them.
  std::shared_ptr<const Settings> operator->() const { return get(); }
  void set(Settings settings) {
    auto now = std::make_shared<const Settings>(std::move(settings));
    const base::Lock lock(mutex_);
    settings_ = std::move(now);
  }

 private:
  mutable base::Mutex mutex_;
  std::shared_ptr<const Settings> settings_ GUARDED_BY(mutex_);
};

// All outlive the router that the routes are added to.
struct Api {
  runtime::Runtime& runtime;
  kv::Database& database;
  kv::Committer& committer;
  const rooms::RoomSource& rooms;
  rooms::RoomWriter& writer;
  users::Accounts& accounts;
  users::Sessions& sessions;
  users::IdentityProvider& identities;
  users::InteractiveAuthentication& authentication;
  users::AccountData& account_data;
  users::DeviceKeys& device_keys;
  users::Receipts& receipts;
  users::Typing& typing;
  push::Rules& push_rules;
  sync::Sync& sync;
  devices::Devices& devices;
  entry::RoomEntry& entry;
  client::FederationClient& federation;
  http::RateLimits& rate_limits;
  runtime::KeyedQueues& alias_turns;    // of who takes or deletes an alias, by its hash
  runtime::KeyedQueues& profile_turns;  // of who changes their profile, by user
  CurrentSettings& settings;
};

using http::to_response;
using kit::Call;
using kit::empty_json;
using kit::kLargeBody;
using kit::kSmallBody;
using kit::ok_json;
using kit::room_of;

using Operation = kit::Operation<const Api>;
void add_operations(http::Router& router, const Api& api, std::span<const Operation> table);

// Authenticates callers and counts their requests, before every handler. Who asks without
// a token is their address; administrators are not limited, since bots that moderate are, and
// whoever is may change the limits anyway.
http::Router::Before authentication(const Api& api);

// The route groups, one a file.
void add_server_routes(http::Router& router,
                       const Api& api);  // versions, well-known, capabilities, TURN
void add_session_routes(http::Router& router, const Api& api);     // login, passwords, devices
void add_account_routes(http::Router& router, const Api& api);     // profile, account data, filters
void add_room_routes(http::Router& router, const Api& api);        // rooms: create, send, state
void add_alias_routes(http::Router& router, const Api& api);       // rooms: aliases
void add_membership_routes(http::Router& router, const Api& api);  // rooms: join, invite, leave
void add_history_routes(http::Router& router, const Api& api);     // rooms: messages, relations
void add_timestamp_routes(http::Router& router, const Api& api);   // rooms: events at a time
void add_thread_routes(http::Router& router, const Api& api);      // rooms: threads
void add_state_routes(http::Router& router, const Api& api);       // rooms: state, members
void add_key_routes(http::Router& router, const Api& api);         // encryption: keys, to-device
void add_receipt_routes(http::Router& router, const Api& api);     // receipts, read markers, typing
void add_push_routes(http::Router& router, const Api& api);        // push rules
void add_sync_routes(http::Router& router, const Api& api);

}  // namespace polder::client_api
