#include "storage/stores/relation_rows.h"

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/columns.h"

namespace polder::stores {
namespace {

constexpr uint8_t kRelationTag = 1;  // tags in column relations
constexpr uint8_t kRedactionTag = 2;
constexpr uint8_t kFormat = 1;

std::string relation_key(RoomNumber room, EventNumber parent, kv::Position position) {
  return keys::KeyWriter(kRelationTag).u64(room).u64(parent).u64(position).str();
}

std::string redaction_key(EventPlace target) {
  return keys::KeyWriter(kRedactionTag).u64(target.room).u64(target.number).str();
}

// The parent, and what relates to it.
Result<std::pair<EventNumber, Relation>> decode_relation(const kv::Iterator& rows) {
  keys::KeyReader key(rows.key());
  key.u8();
  key.u64();
  const EventNumber parent = key.u64();
  Relation relation;
  relation.position = key.u64();
  if (!key.at_end()) return fail(ErrorCode::kCorrupt, "damaged key in column relations");
  keys::ValueReader value(rows.value(), kFormat);
  relation.child = value.varint();
  relation.rel_type = value.text();
  relation.type = value.text();
  POLDER_CHECK(value.finish("relation"));
  return std::pair(parent, std::move(relation));
}

Result<EventNumber> decode_redaction(std::string_view bytes) {
  keys::ValueReader reader(bytes, kFormat);
  const EventNumber redaction = reader.varint();
  POLDER_CHECK(reader.finish("redaction"));
  return redaction;
}

Result<std::vector<Relation>> collect(kv::Iterator& rows, size_t limit, bool forwards) {
  std::vector<Relation> relations;
  for (; rows.valid() && relations.size() < limit; forwards ? rows.next() : rows.prev()) {
    POLDER_TRY(auto decoded, decode_relation(rows));
    relations.push_back(std::move(decoded.second));
  }
  POLDER_CHECK(rows.status());
  return relations;
}

}  // namespace

void put_relation(kv::Batch& batch, RoomNumber room, EventNumber parent, const Relation& relation,
                  kv::PositionSlot slot) {
  keys::put(batch, kRelations, keys::KeyWriter(kRelationTag).u64(room).u64(parent).position(slot),
            keys::ValueWriter(kFormat)
                .varint(relation.child)
                .text(relation.rel_type)
                .text(relation.type));
}

Result<std::vector<Relation>> read_relations_backwards(const kv::Snapshot& snapshot,
                                                       RoomNumber room, EventNumber parent,
                                                       kv::Position before, size_t limit) {
  const auto rows = snapshot.iterate(
      kRelations, {relation_key(room, parent, 0), relation_key(room, parent, before)});
  rows->seek_to_last();
  return collect(*rows, limit, false);
}

Result<std::vector<Relation>> read_relations_forwards(const kv::Snapshot& snapshot, RoomNumber room,
                                                      EventNumber parent, kv::Position after,
                                                      size_t limit) {
  const auto rows = snapshot.iterate(
      kRelations, {relation_key(room, parent, after + 1), relation_key(room, parent + 1, 0)});
  rows->seek_to_first();
  return collect(*rows, limit, true);
}

void put_redaction(kv::Batch& batch, EventPlace target, EventNumber redaction) {
  batch.put(kRelations, redaction_key(target), keys::ValueWriter(kFormat).varint(redaction).str());
}

Result<std::optional<EventNumber>> read_redaction(const kv::Snapshot& snapshot, EventPlace target) {
  POLDER_TRY(const auto value, snapshot.get(kRelations, redaction_key(target)));
  if (!value) return std::optional<EventNumber>();
  POLDER_TRY(const EventNumber redaction, decode_redaction(*value));
  return std::optional(redaction);
}

Status for_each_relation(
    const kv::Snapshot& snapshot, RoomNumber room,
    const std::function<Status(EventNumber parent, const Relation& relation)>& visit) {
  const auto rows =
      snapshot.iterate(kRelations, kv::prefix_range(keys::KeyWriter(kRelationTag).u64(room).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    POLDER_TRY(const auto decoded, decode_relation(*rows));
    POLDER_CHECK(visit(decoded.first, decoded.second));
  }
  return rows->status();
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
    POLDER_TRY(const EventNumber redaction, decode_redaction(rows->value()));
    POLDER_CHECK(visit(target, redaction));
  }
  return rows->status();
}

}  // namespace polder::stores
