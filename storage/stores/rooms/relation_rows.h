// Rows between events of one room: who relates to whom, and who redacted whom.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "storage/stores/rooms/event_rows.h"

namespace polder::stores {

struct Relation {
  DepthPlace place;  // of the child
  EventNumber child = 0;
  UserNumber sender = 0;  // of the child
  std::string rel_type;   // "m.annotation", ...
  std::string type;       // of the child
};

// The parent need not be here: what relates to it may come first. The position is the slot's.
void put_relation(kv::Batch& batch, RoomNumber room, const EventId& parent,
                  const Relation& relation, kv::PositionSlot slot);
void erase_relation(kv::Batch& batch, RoomNumber room, const EventId& parent, DepthPlace child);
// Relations to an event whose places are strictly before `before` (newest first) or from `from` on
// (oldest first); at most limit.
Result<std::vector<Relation>> read_relations_backwards(const kv::Snapshot& snapshot,
                                                       RoomNumber room, const EventId& parent,
                                                       DepthPlace before, size_t limit);
Result<std::vector<Relation>> read_relations_forwards(const kv::Snapshot& snapshot, RoomNumber room,
                                                      const EventId& parent, DepthPlace from,
                                                      size_t limit);

// With the parent's id as in event_ids.
Status for_each_relation(
    const kv::Snapshot& snapshot, RoomNumber room,
    const std::function<Status(std::string_view parent, const Relation&)>& visit);

// The threads of a room, and how far each has got: no reply has a place after that. It may be
// behind, where the last replies are not shown any more.
struct Thread {
  std::string root;  // its id as in event_ids
  DepthPlace latest;
};
void put_thread(kv::Batch& batch, RoomNumber room, const EventId& root, int64_t depth,
                kv::PositionSlot slot);
void erase_thread(kv::Batch& batch, RoomNumber room, const EventId& root);
Result<std::optional<DepthPlace>> read_thread(const kv::Snapshot& snapshot, RoomNumber room,
                                              const EventId& root);
Result<std::vector<Thread>> read_threads(const kv::Snapshot& snapshot, RoomNumber room);

// The redaction that applies to an event: of several, one.
void put_redaction(kv::Batch& batch, EventPlace target, EventNumber redaction);
void erase_redaction(kv::Batch& batch, EventPlace target);
Result<std::optional<EventNumber>> read_redaction(const kv::Snapshot& snapshot, EventPlace target);

// Events from `first` on that are redacted, the newest ones first, at most limit.
Result<std::vector<EventNumber>> read_redacted(const kv::Snapshot& snapshot, EventPlace first,
                                               size_t limit);

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

// Redactions whose target is not here yet: which of them apply is decided when that comes. Of those
// that apply to the same targets one is kept: `of` is the server whose events alone it may redact,
// or empty if it may redact everybody's.
void put_waiting_redaction(kv::Batch& batch, RoomNumber room, const EventId& target,
                           std::string_view of, EventNumber redaction);
Status erase_waiting_redaction(kv::Batch& batch, const kv::Snapshot& snapshot, RoomNumber room,
                               const EventId& target, EventNumber redaction);
Result<std::vector<EventNumber>> read_waiting_redactions(const kv::Snapshot& snapshot,
                                                         RoomNumber room, const EventId& target);

}  // namespace polder::stores
