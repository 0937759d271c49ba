// How much a user has not read
// (https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications).
//
// By default rules the count is a difference of two numbers that are on disk, and a few rows. Only
// for rules that say otherwise in this room, and for who ignores one of its members, are events
// read; what comes out is remembered for all users with equal rules. An event is judged by the
// rules that were in force when it came. Of what was redacted
// the newest counts no more.
#pragma once

#include <map>
#include <string>
#include <unordered_map>

#include "homeserver/base/metrics/cache.h"
#include "homeserver/base/values/mutex.h"
#include "homeserver/rooms/model/ignored.h"
#include "homeserver/rooms/read/reader.h"
#include "homeserver/sync/push/rules.h"

namespace polder::push {

// Beyond these, counts are "at least": a client shows no difference.
inline constexpr size_t kThreadEventsMax = 1000;
inline constexpr size_t kHighlightsMax = 1000;
inline constexpr size_t kRedactedMax = 200;     // the newest; older ones count as if they were not
inline constexpr size_t kEventsReadMax = 1000;  // since the receipt, by changed rules; in all
inline constexpr size_t kBytesReadMax = 1u << 20;  // of events that were not yet remembered

struct Count {
  uint64_t notifications = 0;
  uint64_t highlights = 0;
  friend bool operator==(const Count&, const Count&) = default;
};
struct Unread {
  std::map<std::string, Count> threads;  // by root, or "main"; without those that are read

  Count main() const;
  Count total() const;
};

// By what a user's events are counted: the same in all rooms.
struct Judgement {
  RulesOf rules;
  std::vector<FormerRules> former;  // oldest first
  std::shared_ptr<const rooms::IgnoredUsers> ignored;
};

// Thread-safe.
class Counts {
 public:
  // The rules outlive it.
  explicit Counts(const Rules& rules) : rules_(rules) {}

  // Both synchronous; on the pool.
  Result<Judgement> judgement(const kv::Snapshot& snapshot, stores::UserNumber number,
                              const UserId& user) const;
  // For a joined user; of events up to that position.
  Result<Unread> unread(const rooms::RoomReader& reader, const rooms::ReaderOf& of,
                        const Judgement& judgement, kv::Position up_to) const;

  metrics::CacheFigures figures() const;

 private:
  // What some rules made of one event.
  struct Known {
    bool notify = false;
    bool highlight = false;
    bool personal = false;  // each user's own
    bool state = false;     // it has a state key
    std::string sender;
    std::string thread;
  };
  struct Key {
    uint64_t rules = 0;
    stores::RoomNumber room = 0;
    stores::EventNumber event = 0;
    stores::UserNumber user = 0;  // 0: whoever has these rules
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const;
  };
  class Reading;

  std::optional<Known> recall(Key key, stores::UserNumber user) const;
  void remember(Key key, stores::UserNumber user, const Known& known) const;

  const Rules& rules_;
  mutable base::Mutex mutex_;
  mutable metrics::CacheFigures figures_ GUARDED_BY(mutex_);
  mutable std::unordered_map<Key, Known, Hash> known_ GUARDED_BY(mutex_);
};

}  // namespace polder::push
