// What counts for a while only: typing and receipts of local users, to the servers in the room.
// https://spec.matrix.org/v1.19/server-server-api/#typing-notifications
// https://spec.matrix.org/v1.19/server-server-api/#receipts
#pragma once

#include <string>

#include "federation/devices/parts.h"
#include "homeserver/rooms/heads.h"

namespace polder::devices {

struct SentReceipt {
  std::string type;    // only m.read leaves this server
  std::string thread;  // empty: unthreaded
  EventId event;
  int64_t ts_ms = 0;
};

// Thread-safe; called on shards. The user is joined to the room.
class Ephemeral {
 public:
  explicit Ephemeral(Parts parts) : parts_(std::move(parts)) {}

  Task<void> typing(rooms::RoomHeadPtr room, UserId user, bool typing);
  Task<void> receipt(rooms::RoomHeadPtr room, UserId user, SentReceipt receipt);

 private:
  Task<void> send(rooms::RoomHeadPtr room, sender::ShortLivedEdu edu);

  const Parts parts_;
};

}  // namespace polder::devices
