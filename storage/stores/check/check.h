// The consistency of a database: what one row says is what the others say.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"

namespace polder::stores {

struct CheckReport {
  uint64_t rooms = 0;
  uint64_t events = 0;
  std::vector<std::string> faults;  // for people; at most kMaxFaults
};
inline constexpr size_t kMaxFaults = 100;

// What an event's content says of it.
struct EventFacts {
  EventId id;
  std::string type;
  std::optional<std::string> state_key;
  std::string membership;  // of a member event
  int64_t time_ms = 0;     // origin_server_ts
};
// Reads stored JSON by the rules of a room version.
using EventReader =
    std::function<Result<EventFacts>(std::string_view room_version, std::string_view json)>;

// Checks, of
// - rows: each is of a declared kind, with the parts of a key and the format that its kind has
//   (base/rows.h);
// - ids: interned names and numbers are one-to-one; every event has a record and content, its id
//   leads to it and to nothing else;
// - edges: links and forward extremities name events that are there; no extremity has a successor;
//   relations and redactions join events that are there; the index over auth chains has every state
//   event once, and reaches what the events' records name, no more and no less;
// - state: every map that a record names can be read, node by node, with the hash that is named,
//   and its events are there; the current state is the one after the only extremity; memberships
//   and counts of members are those of the current state, or are outside rooms not followed;
// - timelines: each of the four orders (a room by position, depth and time, all by position) has
//   every event that belongs there, once, and no other;
// - users: sessions and aliases have both of their rows, sessions an account and a device; account
//   data is as much as its sizes say;
// - cursors: none is beyond the last position, and destinations are server names.
// With a reader, also that an event's content has the id, and the state key, by which it is found.
// The error is a failure to read at all.
Result<CheckReport> check_database(const kv::Snapshot& snapshot,
                                   kv::Position last_position = kv::kLastPosition,
                                   const EventReader& reader = {});

}  // namespace polder::stores
