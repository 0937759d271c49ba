// Events of local users, as they are asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "homeserver/base/json/value.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/protocol/events/event.h"
#include "homeserver/protocol/policy/act.h"
#include "homeserver/rooms/turns/transaction.h"
#include "storage/kv/kv.h"

namespace polder::rooms {

// An event that a local user sends.
struct LocalEvent {
  UserId sender;
  std::string type;
  std::optional<std::string> state_key = {};
  json::Object content = {};
  std::optional<EventId> redacts = {};
  std::optional<int64_t> origin_server_ts = {};  // else: now
  // Rows to be committed with it. Called with the event.
  std::function<void(kv::Batch&, const events::Event&)> with = {};
  policy::Actor actor = {};  // without more: the sender, by a client
  // Only if the sender is in the room by then: a membership that says what the last one said, with
  // another profile, must not bring back who has just left.
  bool while_joined = false;
  // Sent once for it: who repeats it is told of the same event, also while that is under way.
  std::optional<Transaction> transaction = {};
};

}  // namespace polder::rooms
