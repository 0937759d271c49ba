// Who has read what, and who is typing.
#pragma once

#include <mutex>

#include "homeserver/users/users.h"
#include "storage/stores/receipt_rows.h"

namespace polder::users {

// Read receipts. Thread-safe; on disk when it returns.
class Receipts {
 public:
  explicit Receipts(Parts parts)
      : parts_(std::move(parts)), at_start_(parts_.committer.visible()) {}

  // type: m.read or m.read.private; thread: empty for an unthreaded one; ts_ms: when the event was
  // read, else now. kInvalid for other types.
  Task<Status> set(stores::UserNumber user, stores::RoomNumber room, std::string type,
                   std::string thread, EventId event, std::optional<int64_t> ts_ms = {});
  // No receipt of the room is newer than this position.
  kv::Position last(stores::RoomNumber room) const;

 private:
  const Parts parts_;
  const kv::Position at_start_;
  mutable std::mutex mutex_;
  std::unordered_map<stores::RoomNumber, kv::Position> last_;  // since the start; under mutex_
};

// Who is typing: in memory only
// (https://spec.matrix.org/v1.19/client-server-api/#typing-notifications). Thread-safe.
class Typing {
 public:
  explicit Typing(const Clock& clock) : clock_(clock) {}

  void set(stores::RoomNumber room, const UserId& user, Millis timeout);
  void clear(stores::RoomNumber room, const UserId& user);
  // Counts every change since the start of the program.
  uint64_t changes() const;
  // Whether the room's set changed after that count, and who is typing now.
  std::optional<std::vector<UserId>> typing_since(stores::RoomNumber room, uint64_t changes);

 private:
  struct Room {
    std::unordered_map<UserId, std::chrono::nanoseconds> until;
    uint64_t changed = 0;
  };
  void expire(Room& room);  // under mutex_

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::unordered_map<stores::RoomNumber, Room> rooms_;  // under mutex_, as is the rest
  uint64_t changes_ = 0;
};

}  // namespace polder::users
