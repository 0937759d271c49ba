// The events of one room in a /sync response: its timeline, and the state that goes with it.
#pragma once

#include <map>

#include "homeserver/base/json/write.h"
#include "homeserver/rooms/read/reader.h"
#include "homeserver/sync/classic/sync.h"

namespace polder::sync {

// Who asks for what; all outlives RoomEvents.
struct EventsQuery {
  const SyncRequest& request;
  bool initial = false;                   // without a token
  kv::Position at = 0;                    // the token that the client is given
  kv::Position owed_from = 0;             // of the token that it gave (StreamToken)
  SentMembers::OfDevice* sent = nullptr;  // with lazy loading of members
};

// Synchronous, on the pool; for one room of one response.
class RoomEvents {
 public:
  RoomEvents(EventsQuery query, const rooms::RoomSource& rooms, const rooms::RoomReader& reader,
             const rooms::ReaderOf& of);

  // Writes the members timeline and state (or state_after) as of `to`, for a client that knows the
  // room as of `from`, or not at all. True if there is anything in them.
  Result<bool> write(json::Writer& writer, std::optional<kv::Position> from, kv::Position to);
  // One event, without its room.
  Status append(stores::EventNumber number, const rooms::ShownEvent& event, std::string& out) const;
  // Members other than the user whom a client names the room after, if it has no name.
  Result<json::Array> heroes() const;
  // Once written: the first position whose event says of the state what did not hold at `to`. Zero
  // if all did.
  kv::Position owes_from() const { return owes_from_; }

 private:
  using States = std::map<stores::StateKey, stores::EventNumber>;
  struct Timeline {
    std::vector<std::pair<stores::EventNumber, rooms::ShownEventPtr>> events;  // oldest first
    bool limited = false;
    bool begins_after_gap = false;  // before the first event, others are missing here
    std::optional<stores::StateRoot> state_before;  // the room's, at the first event
    States states;                                  // the last event of each key
  };

  Status write_event(json::Writer& writer, stores::EventNumber number,
                     const rooms::ShownEvent& event);
  Status append_pdu(stores::EventNumber number, const rooms::ShownEvent& event,
                    std::string& out) const;
  bool is_ignored(const rooms::ShownEvent& event) const;
  Result<bool> is_after_gap(stores::EventNumber number, const rooms::ShownEvent& event) const;
  // Newest first.
  Result<Timeline> read_timeline(std::optional<kv::Position> from, kv::Position to) const;
  Result<States> states_of(const Timeline& timeline) const;
  Status note_owed(const Timeline& timeline, stores::StateRoot end);
  Result<States> not_by_timeline(std::optional<kv::Position> from, stores::StateRoot end,
                                 const Timeline& timeline) const;
  Status add_owed(kv::Position from, stores::StateRoot end, const Timeline& timeline,
                  States& states) const;
  Result<std::map<uint64_t, std::string_view>> members_needed(const Timeline& timeline) const;
  // The number of events written, both.
  Result<size_t> write_state(json::Writer& writer, std::optional<kv::Position> from,
                             kv::Position to, const Timeline& timeline);
  Result<size_t> write_state_changes(json::Writer& writer, stores::StateRoot known,
                                     stores::StateRoot target, const Timeline& timeline,
                                     States instead);
  Result<bool> write_change(json::Writer& writer, stores::StateKey key, stores::EventNumber number,
                            uint32_t member_type);
  Result<uint32_t> member_type() const;
  bool knows(stores::StateKey key, stores::EventNumber event) const;
  void note_sent(stores::StateKey key, stores::EventNumber event);

  const EventsQuery query_;
  const SyncRequest& request_;
  const rooms::RoomSource& rooms_;
  const rooms::RoomReader& reader_;
  const rooms::ReaderOf& of_;
  std::string event_text_;  // of one event at a time
  kv::Position owes_from_ = 0;
};

}  // namespace polder::sync
