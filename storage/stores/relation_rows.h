// Rows between events of one room: who relates to whom, and who redacted whom.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "storage/stores/event_rows.h"

namespace polder::stores {

struct Relation {
  kv::Position position = 0;  // of the child
  EventNumber child = 0;
  UserNumber sender = 0;  // of the child
  std::string rel_type;   // "m.annotation", ...
  std::string type;       // of the child
};

// The parent need not be here: what relates to it may come first.
void put_relation(kv::Batch& batch, RoomNumber room, const EventId& parent,
                  const Relation& relation, kv::PositionSlot slot);
// Relations to an event with positions strictly before `before` (newest first) or after `after`
// (oldest first); at most limit.
Result<std::vector<Relation>> read_relations_backwards(const kv::Snapshot& snapshot,
                                                       RoomNumber room, const EventId& parent,
                                                       kv::Position before, size_t limit);
Result<std::vector<Relation>> read_relations_forwards(const kv::Snapshot& snapshot, RoomNumber room,
                                                      const EventId& parent, kv::Position after,
                                                      size_t limit);

Status for_each_relation(const kv::Snapshot& snapshot, RoomNumber room,
                         const std::function<Status(const Relation&)>& visit);

// The redaction that applies to an event. The first one stays.
void put_redaction(kv::Batch& batch, EventPlace target, EventNumber redaction);
Result<std::optional<EventNumber>> read_redaction(const kv::Snapshot& snapshot, EventPlace target);

Status for_each_redaction(
    const kv::Snapshot& snapshot, RoomNumber room,
    const std::function<Status(EventNumber target, EventNumber redaction)>& visit);

// Answers whether events of a room are redacted, one after the other, from one walk over the room's
// redactions: where there are none, many events cost one look. For one thread; the snapshot
// outlives it.
class RedactionLookup {
 public:
  RedactionLookup(const kv::Snapshot& snapshot, RoomNumber room)
      : snapshot_(snapshot), room_(room) {}
  Result<std::optional<EventNumber>> find(EventNumber target);

 private:
  Status seek(EventNumber target);

  const kv::Snapshot& snapshot_;
  const RoomNumber room_;
  std::unique_ptr<kv::Iterator> rows_;  // from the first question on
  EventNumber first_ = 0;               // that is redacted at all
  EventNumber sought_ = 0, found_ = 0;  // the second is the next one from the first on
};

// The same for relations: whether anything relates to an event.
class RelationLookup {
 public:
  RelationLookup(const kv::Snapshot& snapshot, RoomNumber room)
      : snapshot_(snapshot), room_(room) {}
  Result<bool> any(const EventId& parent);

 private:
  const kv::Snapshot& snapshot_;
  const RoomNumber room_;
  std::unique_ptr<kv::Iterator> rows_;  // from the first question on
  bool any_at_all_ = false;
};

// A redaction whose target is not here yet: whether it applies is decided when that comes.
void put_waiting_redaction(kv::Batch& batch, RoomNumber room, const EventId& target,
                           EventNumber redaction);
Result<std::optional<EventNumber>> read_waiting_redaction(const kv::Snapshot& snapshot,
                                                          RoomNumber room, const EventId& target);

}  // namespace polder::stores
