// What administrators may ask of a running server: the routes of Synapse's admin API that tools
// know (https://element-hq.github.io/synapse/latest/admin_api/), as far as they are served, and
// those of this server below /_polder/admin/.
#pragma once

#include <memory>

#include "federation/entry/entry.h"
#include "federation/sender/sender.h"
#include "homeserver/api/admin/deletions.h"
#include "homeserver/base/http/router.h"
#include "homeserver/rooms/upkeep/upkeep.h"

namespace polder::admin_api {

// All outlive the router that the routes are added to, and what deletions begin.
struct Api {
  runtime::Runtime& runtime;
  const rooms::RoomSource& rooms;
  rooms::RoomWriter& writer;
  rooms::RoomUpkeep& upkeep;
  entry::RoomEntry& entry;
  sender::Sender& sender;
  std::unique_ptr<Deletions> deletions = std::make_unique<Deletions>();
};

// The routes need a hook before the handlers that lets only administrators pass
// (http::Authentication::kAdmin).
void add_room_routes(http::Router& router, const Api& api);  // purging history, deleting rooms
void add_job_routes(http::Router& router, const Api& api);   // background work

}  // namespace polder::admin_api
