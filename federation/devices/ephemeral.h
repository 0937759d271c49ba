// What counts for a while only: typing and receipts of local users, to the servers in the room.
// https://spec.matrix.org/v1.19/server-server-api/#typing-notifications
// https://spec.matrix.org/v1.19/server-server-api/#receipts
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "federation/devices/parts.h"
#include "homeserver/base/values/mutex.h"
#include "homeserver/rooms/model/heads.h"

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

  // For so long, or no more. That it has ended is told too, if the user does not say so before.
  Task<void> typing(rooms::RoomHeadPtr room, UserId user, std::optional<Millis> lasts);
  Task<void> receipt(rooms::RoomHeadPtr room, UserId user, SentReceipt receipt);

 private:
  using Typist = std::pair<std::string, std::string>;  // room and user
  struct Until {
    std::chrono::nanoseconds time{0};
    uint64_t begun = 0;  // which typing it is
  };

  Task<void> send(rooms::RoomHeadPtr room, sender::ShortLivedEdu edu);
  Task<void> send_typing(rooms::RoomHeadPtr room, UserId user, bool typing);
  Task<void> end_typing(rooms::RoomHeadPtr room, UserId user, uint64_t begun);
  // How long it still lasts: nothing if that was another typing, or zero, if it has ended just now.
  std::optional<Millis> left(const Typist& typist, uint64_t begun);

  const Parts parts_;
  base::Mutex mutex_;
  std::map<Typist, Until> typing_ GUARDED_BY(mutex_);  // each has its task
  uint64_t begun_ GUARDED_BY(mutex_) = 0;
};

}  // namespace polder::devices
