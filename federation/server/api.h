// What other servers may ask of this one: the endpoints of the server-server API as rows of the
// route table, and what their handlers share.
// https://spec.matrix.org/v1.19/server-server-api/
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "federation/keyring/keyring.h"
#include "federation/sender/sender.h"
#include "federation/server/remote_device_lists.h"
#include "federation/transport/transport.h"
#include "homeserver/api/kit/operations.h"
#include "homeserver/api/kit/respond.h"
#include "homeserver/base/http/router.h"
#include "homeserver/base/json/value.h"
#include "homeserver/base/runtime/sync.h"
#include "homeserver/rooms/model/source.h"
#include "homeserver/users/accounts/accounts.h"
#include "homeserver/users/data/device_messages.h"
#include "homeserver/users/data/receipts.h"
#include "homeserver/users/keys/device_keys.h"

namespace polder::rooms {
class RoomWriter;
}  // namespace polder::rooms

namespace polder::federation_server {

// All outlive the router that the routes are added to.
struct Parts {
  runtime::Runtime& runtime;
  kv::Database& database;
  kv::Committer& committer;
  rooms::RoomWriter& writer;
  users::Accounts& accounts;
  users::DeviceKeys& device_keys;
  users::DeviceMessages& device_messages;
  users::Receipts& receipts;
  users::Typing& typing;
  keyring::Keyring& keyring;
  transport::Servers& servers;
  sender::Sender& sender;
  RemoteDeviceLists& device_lists;
  http::RateLimits& rate_limits;
  size_t requests_at_once = 0;  // of one server
  std::string version;          // of the program
};

class Acls;
class RequestsAtOnce;
class Transactions;
class WaitingEvents;

// The parts, and what lasts from one request to the next. Outlives the router, and every task of
// its handlers.
struct Api {
  explicit Api(Parts given);
  ~Api();

  // Goes on with what was left. Synchronous; before the first request.
  Status start();

  Parts parts;
  std::unique_ptr<Acls> acls;
  std::unique_ptr<RequestsAtOnce> requests_at_once;
  runtime::SerialQueue unproved_bodies;  // that must be parsed, large ones in turn; on shard 0
  std::unique_ptr<Transactions> transactions;
  std::unique_ptr<WaitingEvents> waiting;

  runtime::Runtime& runtime() const { return parts.runtime; }
  const rooms::RoomSource& rooms() const;
  rooms::RoomWriter& writer() const { return parts.writer; }
  const ServerName& own_name() const { return rooms().own_name; }
};

// Verifies who asks and counts their requests, for routes with Authentication::kServer; passes on
// all others (https://spec.matrix.org/v1.19/server-server-api/#request-authentication). The
// request has a place among those of that server.
http::Router::Before authentication(Api& api);

void add_routes(http::Router& router, Api& api);

// --- For the handlers. ---

using kit::Call;
using kit::ok_json;
// M_INCOMPATIBLE_ROOM_VERSION.
Error incompatible_version(std::string_view room_version);

// Failures of this server, not of what it was given: that must come again.
bool is_own_failure(const Error& error);

using Operation = kit::Operation<Api>;
// What signed requests are, without and with a body of so many bytes.
constexpr kit::Terms signed_by_server(size_t body_max = 0) {
  return {.authentication = http::Authentication::kServer,
          .rate = http::RateClass::kFederation,
          .body_max = body_max};
}
void add_operations(http::Router& router, Api& api, std::span<const Operation> table);

// The route groups, one a file.
void add_key_routes(http::Router& router, Api& api);          // version, keys, notary
void add_transaction_routes(http::Router& router, Api& api);  // send
void add_membership_routes(http::Router& router, Api& api);   // make and send join, leave, knock
void add_invite_routes(http::Router& router, Api& api);
void add_history_routes(http::Router& router, Api& api);  // state, events, backfill
void add_query_routes(http::Router& router, Api& api);    // profile, directory, keys, devices

using kit::kSmallBody;
// An event of 64 KiB, every byte of it escaped.
inline constexpr size_t kEventBody = 512 * 1024;
inline constexpr size_t kInviteBody = 2 * 1024 * 1024;
// 50 events and 100 ephemeral ones of 64 KiB, and some room.
inline constexpr size_t kTransactionBody = 12 * 1024 * 1024;

}  // namespace polder::federation_server
