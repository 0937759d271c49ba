// Rows of federation: keys of other servers, how far the stream of events has been delivered, and
// events that this server passes on for others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"

namespace polder::stores {

// A key of another server. Times are milliseconds since the epoch.
struct KnownKey {
  KeyId id;
  std::string key;             // unpadded base64
  int64_t valid_until_ms = 0;  // what it signed up to then counts
};
struct KnownKeys {
  int64_t fetched_ms = 0;
  std::string response;  // as the server signed it, for those who ask this server as a notary
  std::vector<KnownKey> keys;
};
void put_known_keys(kv::Batch& batch, const ServerName& server, const KnownKeys& keys);
Result<std::optional<KnownKeys>> read_known_keys(const kv::Snapshot& snapshot,
                                                 const ServerName& server);

// A destination that has not got everything that was handed to the queues: up to where it has, and
// how many of the events after that are in the transaction that it has not answered. No row for one
// that has got everything.
struct Backlog {
  kv::Position delivered = 0;
  uint64_t unanswered = 0;
  friend bool operator==(const Backlog&, const Backlog&) = default;
};
void put_backlog(kv::Batch& batch, const ServerName& destination, const Backlog& backlog);
void erase_backlog(kv::Batch& batch, const ServerName& destination);
Result<std::vector<std::pair<ServerName, Backlog>>> read_backlogs(const kv::Snapshot& snapshot);

// An event of another server's user that this server is to send to the room's servers: a join,
// leave or knock that came in by send_join and its kin. Written before the event is given to the
// room.
void put_forward(kv::Batch& batch, const EventId& event);
void erase_forward(kv::Batch& batch, const EventId& event);
Result<std::vector<EventId>> read_forwards(const kv::Snapshot& snapshot);
Result<bool> is_forward(const kv::Snapshot& snapshot, const EventId& event);

// An event of another server that cannot be judged yet. Its PDU is read only to try it again.
struct WaitingEvent {
  ServerName origin;  // that sent it
  EventId event;
  RoomId room;
  int64_t depth = 0;
  int64_t since_ms = 0;  // since the epoch
};
void put_waiting(kv::Batch& batch, const WaitingEvent& waiting, std::string_view pdu);
void erase_waiting(kv::Batch& batch, const WaitingEvent& waiting);
Result<std::vector<WaitingEvent>> read_waiting(const kv::Snapshot& snapshot);
Result<std::optional<std::string>> read_waiting_pdu(const kv::Snapshot& snapshot,
                                                    const WaitingEvent& waiting);

// A local user who left a room of others, or declined to enter it, while no server of the room
// could be told: it is told later.
struct LateLeave {
  UserId user;
  RoomId room;
  std::vector<ServerName> servers;  // the most promising first
  std::string content;              // of the leave, without `membership`; JSON
  int64_t since_ms = 0;             // since the epoch
};
void put_late_leave(kv::Batch& batch, const LateLeave& leave);
void erase_late_leave(kv::Batch& batch, const LateLeave& leave);
Result<std::vector<LateLeave>> read_late_leaves(const kv::Snapshot& snapshot);

// Ids of messages to devices that another server sent, by the day (since the epoch) on which they
// came: a message that comes again is known by its id for as long as its day is kept.
void put_known_message(kv::Batch& batch, const ServerName& origin, uint32_t day,
                       std::string_view id);
// Forgets the days before this one.
void erase_known_messages(kv::Batch& batch, const ServerName& origin, uint32_t before_day);
struct KnownMessage {
  bool known = false;     // came on one of the days from oldest to newest
  bool outdated = false;  // there are days before the oldest, to be forgotten
};
Result<KnownMessage> find_known_message(const kv::Snapshot& snapshot, const ServerName& origin,
                                        uint32_t oldest_day, uint32_t newest_day,
                                        std::string_view id);

}  // namespace polder::stores
