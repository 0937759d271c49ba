// Who has read what, and who is typing.
#pragma once

#include "homeserver/base/values/mutex.h"
#include "homeserver/users/accounts/parts.h"
#include "storage/stores/rooms/receipt_rows.h"

namespace polder::users {

inline constexpr size_t kThreadIdBytesMax = 255;
// Threads in which a user has a receipt of one type in one room; beyond, the oldest receipt goes.
// Those of local users say what is unread, and name threads that there are.
inline constexpr size_t kThreadsReadMax = 1000;
inline constexpr size_t kThreadsReadByOthersMax = 20;  // by a user of another server

struct NewReceipt {
  std::string type;    // m.read or m.read.private
  std::string thread;  // empty: unthreaded
  EventId event;
  // Of a user of another server, when the event was read; else it is read now.
  std::optional<int64_t> ts_ms = {};
};

// Read receipts. Thread-safe; on disk when it returns.
class Receipts {
 public:
  explicit Receipts(Parts parts)
      : parts_(std::move(parts)), at_start_(parts_.committer.visible()), queues_(parts_.runtime) {}

  // Those of one user are set one after the other. False: the one that the user has of the type and
  // thread is at the same event or at a newer one, and stays. kInvalid for other types, and for
  // threads whose id is too long.
  Task<Result<bool>> set(stores::UserNumber user, stores::RoomNumber room, NewReceipt receipt);
  // No receipt of the room is newer than this position.
  kv::Position last(stores::RoomNumber room) const;

 private:
  Task<Result<bool>> set_in_turn(stores::UserNumber user, stores::RoomNumber room,
                                 NewReceipt receipt);

  const Parts parts_;
  const kv::Position at_start_;
  runtime::KeyedQueues queues_;  // by user
  mutable base::Mutex mutex_;
  std::unordered_map<stores::RoomNumber, kv::Position> last_ GUARDED_BY(mutex_);  // since the start
};

// Who is typing: in memory only
// (https://spec.matrix.org/v1.19/client-server-api/#typing-notifications). Thread-safe.
class Typing {
 public:
  explicit Typing(const Clock& clock) : clock_(clock) {}

  // Told of every change, where it is made: the room, and for how long somebody types there if they
  // say nothing else. Before the first.
  using Observer = std::function<void(stores::RoomNumber, Millis)>;
  void on_change(Observer observer) { observers_.push_back(std::move(observer)); }

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
  void expire(Room& room) REQUIRES(mutex_);
  void tell(stores::RoomNumber room, Millis lasts) const;

  const Clock& clock_;
  std::vector<Observer> observers_;
  mutable base::Mutex mutex_;
  std::unordered_map<stores::RoomNumber, Room> rooms_ GUARDED_BY(mutex_);
  uint64_t changes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace polder::users
