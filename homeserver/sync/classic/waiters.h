// Requests that wait until something changes for their user, and what wakes them: what commits
// touch (storage/stores/touched/touched.h), and typing, which is not committed.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "homeserver/base/runtime/sync.h"
#include "homeserver/sync/classic/own_answers.h"
#include "storage/kv/committer.h"
#include "storage/stores/base/names.h"
#include "storage/stores/touched/touched.h"

namespace polder::sync {

// Thread-safe. Outlives the runtime's tasks.
class Waiters {
 public:
  // Before the first commit; all outlive it.
  Waiters(runtime::Runtime& runtime, kv::Database& database, kv::Committer& committer);
  Waiters(const Waiters&) = delete;
  Waiters& operator=(const Waiters&) = delete;
  ~Waiters();

  OwnAnswers& own_answers() { return own_answers_; }

  // Wakes who waits in the room.
  void wake_room(stores::RoomNumber room);
  // Requests that look or wait.
  size_t waiting() const;

 private:
  struct Shard;
  // Users and rooms in one table.
  using Key = uint64_t;
  static Key key_of_room(stores::RoomNumber room) { return room << 1u; }
  static Key key_of_user(stores::UserNumber user) { return (user << 1u) | 1u; }

 public:
  // One request, from before it looks for changes until it is answered. Belongs to one shard.
  class Waiter {
   public:
    // On a shard.
    Waiter(Waiters& all, stores::UserNumber user);
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    ~Waiter();

    // From now on, what is touched counts: called before looking for changes.
    void begin();
    // The rooms, in ascending order, that the user is told of.
    void watch(const std::vector<stores::RoomNumber>& rooms);
    // Whether the user or one of the rooms was touched since begin(), or may have been.
    bool touched() const;
    // Waits until one of them is. False if the time passed first.
    Task<bool> wait_for(Millis timeout) { return signal_.wait_for(timeout); }

   private:
    friend class Waiters;
    // A place in the list of those who wait for one key; a list is a ring with its head.
    struct Place {
      Place* before = nullptr;
      Place* after = nullptr;
      Waiter* waiter = nullptr;  // null in heads
    };
    void enter(Place& place, Key key);
    void leave(Place& place, Key key);
    void enter_rooms(const std::vector<stores::RoomNumber>& rooms);
    void leave_rooms();

    Shard& shard_;
    const Key user_;
    Place user_place_;
    std::vector<Key> rooms_;          // ascending
    std::vector<Place> room_places_;  // one for each; not moved while they are entered
    runtime::Signal signal_;
    uint64_t begun_ = 0;  // what had been touched by then
    bool woken_ = false;
    bool watching_ = false;  // all that it is to be told of, since the last begin()
  };

 private:
  void committed(std::span<const kv::Batch* const> batches);
  void touch(stores::Touched touched);
  void touch_on_shards(std::function<void(Shard&)> touch);
  bool nobody_waits() const;
  Task<void> touch_sharers(std::vector<stores::UserNumber> users);

  runtime::Runtime& runtime_;
  kv::Database& database_;
  OwnAnswers own_answers_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace polder::sync
