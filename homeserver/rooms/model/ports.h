// What rooms ask of the rest of the server, and whom it tells. It knows nothing of
// federation, sync, push or application services; they implement these and are plugged together in
// homeserver/server.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/crypto/keys.h"
#include "homeserver/base/runtime/task.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/protocol/events/event.h"
#include "storage/kv/kv.h"
#include "storage/stores/rooms/event_rows.h"
#include "storage/stores/rooms/room_rows.h"

namespace polder::rooms {

// Keys with which servers sign. Thread-safe.
class KeySource {
 public:
  virtual ~KeySource() = default;
  // The server's key if it is (or, for expired keys, was) valid at that time, from the cache, the
  // server itself or a notary. kNotFound if nobody knows it, kUnavailable if nobody could be asked.
  virtual Task<Result<crypto::VerifyKey>> key(ServerName server, KeyId key,
                                              int64_t valid_at_ms) = 0;
};

// State at an event, as another server tells it.
struct RemoteState {
  std::vector<std::string> state;       // PDUs
  std::vector<std::string> auth_chain;  // PDUs
  std::shared_ptr<const void> counted;  // keeps the bytes counted while it lives
};
struct RemoteStateIds {
  std::vector<EventId> state;
  std::vector<EventId> auth_chain;
};

// The events between some that are here and some that are not.
struct MissingEvents {
  std::vector<EventId> earliest;
  std::vector<EventId> latest;
  int64_t min_depth = 0;
  size_t limit = 0;
};

// What other servers can be asked for. Answers are hostile: bounded by the implementation, but
// neither verified nor checked; who asks does that. Thread-safe.
class RemoteServers {
 public:
  virtual ~RemoteServers() = default;
  virtual Task<Result<std::string>> event(ServerName server, EventId event) = 0;
  virtual Task<Result<RemoteStateIds>> state_ids(ServerName server, RoomId room, EventId event) = 0;
  virtual Task<Result<RemoteState>> state(ServerName server, RoomId room, EventId event) = 0;
  virtual Task<Result<std::vector<std::string>>> missing_events(ServerName server, RoomId room,
                                                                MissingEvents wanted) = 0;
  virtual Task<Result<std::vector<std::string>>> backfill(ServerName server, RoomId room,
                                                          std::vector<EventId> from,
                                                          size_t limit) = 0;
};

enum class Verdict : uint8_t {
  kAccepted,
  kSoftFailed,  // stored, shown to nobody, built upon by nobody
  kRejected,    // refused; stored so, if its server has members here
};

// Whom an event of the timeline notifies by the default push rules; but for its sender, always.
struct Notification {
  std::string thread;             // "main", or the id of the thread's root; empty: in no timeline
  bool notifies = false;          // every member
  bool highlights = false;        // for every member
  std::vector<UserId> mentioned;  // local members for whom it highlights, if not for every one
};

// An event on its way into the store, or there. Without event, where the current state changed
// because it became known in full.
struct StoredEvent {
  stores::EventPlace place;
  events::EventPtr event;
  stores::EventRecord record;
  std::optional<kv::PositionSlot> slot;  // while staged; the record has the position once committed
  bool local = false;                    // its sender is of this server
  bool redacted = false;                 // before it came
  stores::EventNumber redacts = 0;  // the event that it redacts, if it may and that one is here
  Notification notification;        // while staged
};

// What one event did to the current state.
struct StateChange {
  std::string type;
  std::string key;
  events::EventPtr before;  // null if there was none
  events::EventPtr after;   // null if there is none
  stores::EventNumber after_number = 0;
};

// A membership of a local user in a room that this server is not in.
struct OutsideMembership {
  stores::RoomNumber room = 0;
  UserId user;
  events::EventPtr event;  // the invite or knock, or the leave or ban that ended it
  kv::Position position = 0;
};

// Adds rows to the batch of an event before it is committed: synchronous, bounded, no I/O but reads
// of the store. Called in the room's turn.
class Contributor {
 public:
  virtual ~Contributor() = default;
  virtual Status contribute(const StoredEvent& event, const std::vector<StateChange>& changes,
                            kv::Batch& batch) = 0;
};

// Told after the batch is durable and visible, in the order of positions of each room, on that
// room's shard. Must be quick.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void committed(const StoredEvent& event, Verdict verdict,
                         const std::vector<StateChange>& changes) = 0;
  // The same for what is in no room's history here.
  virtual void committed_outside(const OutsideMembership&) {}
};

}  // namespace polder::rooms
