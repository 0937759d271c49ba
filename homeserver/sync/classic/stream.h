// What /sync carries, stream by stream (docs/architecture.md, decision 19). A stream is one source:
// it knows its part of the token, whether something of it changed for a reader since a token, and
// what to write then. Who is woken is no care of it: that follows from the rows of a commit
// (waiters.h).
#pragma once

#include "homeserver/base/json/write.h"
#include "homeserver/rooms/read/reader.h"
#include "homeserver/sync/classic/sync.h"
#include "homeserver/sync/classic/tokens.h"
#include "storage/stores/rooms/room_rows.h"

namespace polder::sync {

// What one response is made from: who reads, from where on, and as of when.
struct Reading {
  const Services& services;
  const SyncRequest& request;
  std::optional<StreamToken> since = {};  // none: everything is new to the client
  StreamToken next = {};                  // as of which it is made
  bool first = true;                      // that this request looks
  std::shared_ptr<const kv::Snapshot> snapshot = {};
  // The user's, ascending.
  std::vector<std::pair<stores::RoomNumber, stores::MembershipRow>> rooms = {};
  // What the client needs no longer, by its token.
  kv::Batch acknowledged = {};

  kv::Position from() const { return since ? since->position : 0; }
};

// A room that the user is in.
struct RoomReading {
  const rooms::RoomReader& reader;
  bool known = false;  // the client has it as of the token
};

// Where in a response a stream writes: events of a list, but for kMembers.
enum class Part : uint8_t {
  kMembers,      // members of the response, of any name
  kAccountData,  // events of no room
  kRoomAccountData,
  kEphemeral,
};

// Lives for one response. Synchronous; on the pool.
class Stream {
 public:
  virtual ~Stream() = default;
  // Before anything is written: takes its part of the next token, looks up what changed.
  virtual Status begin(Reading&) { return {}; }
  // What is of no room. True if it is news, for which a client that waits is answered.
  virtual Result<bool> write(const Reading&, Part, json::Writer&) { return false; }
  // Whether a room may have something that the client does not know. Reads no room.
  virtual bool has_news(const Reading&, stores::RoomNumber) const { return false; }
  // What a room has. True if it is news.
  virtual Result<bool> write_room(const Reading&, const RoomReading&, Part, json::Writer&) {
    return false;
  }
};

}  // namespace polder::sync
