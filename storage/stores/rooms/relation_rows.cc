#include "storage/stores/rooms/relation_rows.h"

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/rows.h"

namespace polder::stores {
namespace {

constexpr uint8_t kRelationTag = tag_of(Row::kRelation);
constexpr uint8_t kRedactionTag = tag_of(Row::kRedaction);
constexpr uint8_t kOldWaitingTag = tag_of(Row::kEarlyRedactionByAll);
constexpr uint8_t kThreadTag = tag_of(Row::kThread);
constexpr uint8_t kWaitingTag = tag_of(Row::kEarlyRedaction);
constexpr uint8_t kFormat = 1;
constexpr EventNumber kNone = ~EventNumber{0};  // beyond all numbers

std::string parent_prefix(RoomNumber room, const EventId& parent) {
  return keys::KeyWriter(kRelationTag).u64(room).text(event_id_bytes(parent)).str();
}

keys::KeyWriter relation_prefix(RoomNumber room, const EventId& parent, int64_t depth) {
  keys::KeyWriter key(kRelationTag);
  key.u64(room).text(event_id_bytes(parent)).u64(static_cast<uint64_t>(depth));
  return key;
}

std::string relation_key(RoomNumber room, const EventId& parent, DepthPlace child) {
  return relation_prefix(room, parent, child.depth).u64(child.position).str();
}

std::string thread_key(RoomNumber room, const EventId& root) {
  return keys::KeyWriter(kThreadTag).u64(room).tail(event_id_bytes(root)).str();
}

Result<DepthPlace> decode_thread(std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  DepthPlace latest;
  latest.depth = static_cast<int64_t>(reader.varint());
  latest.position = reader.fixed64();
  POLDER_CHECK(reader.finish("thread"));
  return latest;
}

std::string old_waiting_key(RoomNumber room, const EventId& target) {
  return keys::KeyWriter(kOldWaitingTag).u64(room).tail(event_id_bytes(target)).str();
}

keys::KeyWriter waiting_prefix(RoomNumber room, const EventId& target) {
  keys::KeyWriter key(kWaitingTag);
  key.u64(room).text(event_id_bytes(target));
  return key;
}

using VisitWaiting = std::function<void(std::string_view key, EventNumber redaction)>;

Result<EventNumber> decode_number(std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  const EventNumber redaction = reader.varint();
  POLDER_CHECK(reader.finish("redaction"));
  return redaction;
}

Result<std::optional<EventNumber>> read_number(const kv::Snapshot& snapshot, std::string_view key) {
  POLDER_TRY(const auto value, snapshot.get(kRelations, key));
  if (!value) return std::optional<EventNumber>();
  POLDER_TRY(const EventNumber redaction, decode_number(*value));
  return std::optional(redaction);
}

Status for_each_waiting(const kv::Snapshot& snapshot, RoomNumber room, const EventId& target,
                        const VisitWaiting& visit) {
  const std::string old_key = old_waiting_key(room, target);
  POLDER_TRY(const auto old_row, read_number(snapshot, old_key));
  if (old_row) visit(old_key, *old_row);
  const auto rows =
      snapshot.iterate(kRelations, kv::prefix_range(waiting_prefix(room, target).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    POLDER_TRY(const EventNumber redaction, decode_number(rows->value()));
    visit(rows->key(), redaction);
  }
  return rows->status();
}

std::string redaction_key(EventPlace target) {
  return keys::KeyWriter(kRedactionTag).u64(target.room).u64(target.number).str();
}

Result<Relation> decode_relation(const kv::Iterator& rows) {
  keys::KeyReader key(rows.key());
  key.u8();
  key.u64();
  key.text();
  Relation relation;
  relation.place.depth = static_cast<int64_t>(key.u64());
  relation.place.position = key.u64();
  if (!key.at_end()) return fail(ErrorCode::kCorrupt, "damaged key in column relations");
  keys::ValueReader value(rows.value(), kFormat);
  relation.child = value.varint();
  relation.sender = value.varint();
  relation.rel_type = value.text();
  relation.type = value.text();
  POLDER_CHECK(value.finish("relation"));
  return relation;
}

Result<std::vector<Relation>> collect(kv::Iterator& rows, size_t limit, bool forwards) {
  std::vector<Relation> relations;
  for (; rows.valid() && relations.size() < limit; forwards ? rows.next() : rows.prev()) {
    POLDER_TRY(Relation relation, decode_relation(rows));
    relations.push_back(std::move(relation));
  }
  POLDER_CHECK(rows.status());
  return relations;
}

}  // namespace

void put_relation(kv::Batch& batch, RoomNumber room, const EventId& parent,
                  const Relation& relation, kv::PositionSlot slot) {
  keys::put(batch, kRelations, relation_prefix(room, parent, relation.place.depth).position(slot),
            keys::ValueWriter(kFormat)
                .varint(relation.child)
                .varint(relation.sender)
                .text(relation.rel_type)
                .text(relation.type));
}

void erase_relation(kv::Batch& batch, RoomNumber room, const EventId& parent, DepthPlace child) {
  batch.erase(kRelations, relation_key(room, parent, child));
}

Result<std::vector<Relation>> read_relations_backwards(const kv::Snapshot& snapshot,
                                                       RoomNumber room, const EventId& parent,
                                                       DepthPlace before, size_t limit) {
  const auto rows = snapshot.iterate(
      kRelations, {relation_key(room, parent, {}), relation_key(room, parent, before)});
  rows->seek_to_last();
  return collect(*rows, limit, false);
}

Result<std::vector<Relation>> read_relations_forwards(const kv::Snapshot& snapshot, RoomNumber room,
                                                      const EventId& parent, DepthPlace from,
                                                      size_t limit) {
  const auto rows = snapshot.iterate(
      kRelations, {relation_key(room, parent, from), relation_key(room, parent, kLastPlace)});
  rows->seek_to_first();
  return collect(*rows, limit, true);
}

void put_redaction(kv::Batch& batch, EventPlace target, EventNumber redaction) {
  batch.put(kRelations, redaction_key(target), keys::ValueWriter(kFormat).varint(redaction).str());
}

void erase_redaction(kv::Batch& batch, EventPlace target) {
  batch.erase(kRelations, redaction_key(target));
}

Result<std::optional<EventNumber>> read_redaction(const kv::Snapshot& snapshot, EventPlace target) {
  return read_number(snapshot, redaction_key(target));
}

Status RedactionLookup::seek(EventNumber target) {
  rows_->seek(redaction_key({room_, target}));
  sought_ = target;
  found_ = kNone;
  if (!rows_->valid()) return rows_->status();
  keys::KeyReader key(rows_->key());
  key.u8();
  key.u64();
  found_ = key.u64();
  return {};
}

Result<std::optional<EventNumber>> RedactionLookup::find(EventNumber target) {
  if (!rows_) {
    rows_ = snapshot_.iterate(kRelations,
                              kv::prefix_range(keys::KeyWriter(kRedactionTag).u64(room_).str()));
    POLDER_CHECK(seek(0));
    first_ = found_;
  }
  if (target < first_) return std::optional<EventNumber>();
  if (target < sought_ || target > found_) POLDER_CHECK(seek(target));
  if (target != found_) return std::optional<EventNumber>();
  POLDER_TRY(const EventNumber redaction, decode_number(rows_->value()));
  return std::optional(redaction);
}

Result<bool> RelationLookup::any(const EventId& parent) {
  if (!rows_) {
    rows_ = snapshot_.iterate(kRelations,
                              kv::prefix_range(keys::KeyWriter(kRelationTag).u64(room_).str()));
    rows_->seek_to_first();
    POLDER_CHECK(rows_->status());
    any_at_all_ = rows_->valid();
  }
  if (!any_at_all_) return false;
  const std::string prefix = parent_prefix(room_, parent);
  rows_->seek(prefix);
  POLDER_CHECK(rows_->status());
  return rows_->valid() && rows_->key().starts_with(prefix);
}

void put_waiting_redaction(kv::Batch& batch, RoomNumber room, const EventId& target,
                           std::string_view of, EventNumber redaction) {
  batch.put(kRelations, waiting_prefix(room, target).tail(of).str(),
            keys::ValueWriter(kFormat).varint(redaction).str());
}

Status erase_waiting_redaction(kv::Batch& batch, const kv::Snapshot& snapshot, RoomNumber room,
                               const EventId& target, EventNumber redaction) {
  return for_each_waiting(snapshot, room, target, [&](std::string_view key, EventNumber waiting) {
    if (waiting == redaction) batch.erase(kRelations, std::string(key));
  });
}

Result<std::vector<EventNumber>> read_waiting_redactions(const kv::Snapshot& snapshot,
                                                         RoomNumber room, const EventId& target) {
  std::vector<EventNumber> redactions;
  POLDER_CHECK(for_each_waiting(
      snapshot, room, target,
      [&](std::string_view, EventNumber redaction) { redactions.push_back(redaction); }));
  return redactions;
}

Status for_each_relation(
    const kv::Snapshot& snapshot, RoomNumber room,
    const std::function<Status(std::string_view parent, const Relation&)>& visit) {
  const auto rows =
      snapshot.iterate(kRelations, kv::prefix_range(keys::KeyWriter(kRelationTag).u64(room).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    POLDER_TRY(const Relation relation, decode_relation(*rows));
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    POLDER_CHECK(visit(key.text(), relation));
  }
  return rows->status();
}

void put_thread(kv::Batch& batch, RoomNumber room, const EventId& root, int64_t depth,
                kv::PositionSlot slot) {
  keys::ValueWriter value(kFormat);
  value.varint(static_cast<uint64_t>(depth)).position(slot);
  batch.put(kRelations, thread_key(room, root), {}, value, value.patches());
}

void erase_thread(kv::Batch& batch, RoomNumber room, const EventId& root) {
  batch.erase(kRelations, thread_key(room, root));
}

Result<std::optional<DepthPlace>> read_thread(const kv::Snapshot& snapshot, RoomNumber room,
                                              const EventId& root) {
  POLDER_TRY(const auto value, snapshot.get(kRelations, thread_key(room, root)));
  if (!value) return std::optional<DepthPlace>();
  POLDER_TRY(const DepthPlace latest, decode_thread(*value));
  return std::optional(latest);
}

Result<std::vector<Thread>> read_threads(const kv::Snapshot& snapshot, RoomNumber room) {
  std::vector<Thread> threads;
  const auto rows =
      snapshot.iterate(kRelations, kv::prefix_range(keys::KeyWriter(kThreadTag).u64(room).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    Thread thread;
    thread.root = key.tail();
    POLDER_TRY(thread.latest, decode_thread(rows->value()));
    threads.push_back(std::move(thread));
  }
  POLDER_CHECK(rows->status());
  return threads;
}

Result<std::vector<EventNumber>> read_redacted(const kv::Snapshot& snapshot, EventPlace first,
                                               size_t limit) {
  std::vector<EventNumber> redacted;
  kv::Range range = kv::prefix_range(keys::KeyWriter(kRedactionTag).u64(first.room).str());
  range.from = redaction_key(first);
  const auto rows = snapshot.iterate(kRelations, range);
  for (rows->seek_to_last(); rows->valid() && redacted.size() < limit; rows->prev()) {
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    redacted.push_back(key.u64());
  }
  POLDER_CHECK(rows->status());
  return redacted;
}

Status for_each_redaction(
    const kv::Snapshot& snapshot, RoomNumber room,
    const std::function<Status(EventNumber target, EventNumber redaction)>& visit) {
  const auto rows = snapshot.iterate(
      kRelations, kv::prefix_range(keys::KeyWriter(kRedactionTag).u64(room).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    key.u64();
    const EventNumber target = key.u64();
    POLDER_TRY(const EventNumber redaction, decode_number(rows->value()));
    POLDER_CHECK(visit(target, redaction));
  }
  return rows->status();
}

}  // namespace polder::stores
