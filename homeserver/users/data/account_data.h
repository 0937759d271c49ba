// Account data and filters (https://spec.matrix.org/v1.19/client-server-api/#client-config,
// #filtering).
#pragma once

#include "homeserver/base/json/value.h"
#include "homeserver/users/accounts/parts.h"
#include "homeserver/users/accounts/turns.h"

namespace polder::users {

inline constexpr size_t kAccountDataBytesMax = 65536;
inline constexpr std::string_view kFullyReadType = "m.fully_read";

// All of it goes into a new device's first sync.
struct AccountDataLimits {
  size_t room_types = 1'000;  // of one room; and of what is of no room
  size_t room_bytes = size_t{4} << 20;
  size_t types = 50'000;  // of a user
  size_t bytes = size_t{16} << 20;
};

// Thread-safe. Every change is on disk when it returns.
class AccountData {
 public:
  explicit AccountData(Parts parts, UserTurns& turns, AccountDataLimits limits = {})
      : parts_(std::move(parts)), limits_(limits), turns_(turns) {}

  // Room 0 is global. kTooLarge, also of all that there is then; kInvalid for types that are too
  // long.
  Task<Status> set(stores::UserNumber user, stores::RoomNumber room, std::string type,
                   json::Object content);
  // The room's read marker (https://spec.matrix.org/v1.19/client-server-api/#fully-read-markers):
  // as `set`, but it stays where it is if that is at the same event or at a newer one.
  Task<Status> set_fully_read(stores::UserNumber user, stores::RoomNumber room, EventId event);
  Task<Result<std::string>> get(stores::UserNumber user, stores::RoomNumber room,
                                std::string type);  // JSON; kNotFound

  Task<Result<std::string>> add_filter(stores::UserNumber user, json::Object filter);  // its id
  Task<Result<std::string>> filter(stores::UserNumber user, std::string id);  // JSON; kNotFound

 private:
  Parts parts_;
  const AccountDataLimits limits_;
  UserTurns& turns_;
};

}  // namespace polder::users
