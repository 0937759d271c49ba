#include "storage/stores/rooms/purge_rows.h"

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/row_forms.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kPurgeTag = tag_of(Row::kPurge);
constexpr uint8_t kHistoryPurgeTag = tag_of(Row::kHistoryPurge);

std::string purge_key(RoomNumber room) {
  return keys::KeyWriter(kPurgeTag).u64(room).str();
}

std::string history_purge_key(RoomNumber room) {
  return keys::KeyWriter(kHistoryPurgeTag).u64(room).str();
}

Result<HistoryPurgeRow> decode_history_purge(std::string_view value) {
  keys::ValueReader reader(value, kFormat);
  HistoryPurgeRow row;
  row.below = static_cast<int64_t>(reader.varint());
  row.local_too = reader.boolean();
  row.last = reader.varint();
  row.reached = reader.varint();
  row.done = reader.boolean();
  POLDER_CHECK(reader.finish("history purge"));
  return row;
}

Result<PurgeRow> decode(std::string_view value) {
  keys::ValueReader reader(value, kFormat);
  PurgeRow row;
  row.version = reader.text();
  row.last_event = reader.varint();
  row.last_node = reader.varint();
  row.unlisted = reader.varint();
  row.done = reader.boolean();
  POLDER_CHECK(reader.finish("purge"));
  return row;
}

}  // namespace

void put_purge(kv::Batch& batch, RoomNumber room, const PurgeRow& row) {
  batch.put(kRooms, purge_key(room),
            keys::ValueWriter(kFormat)
                .text(row.version)
                .varint(row.last_event)
                .varint(row.last_node)
                .varint(row.unlisted)
                .boolean(row.done)
                .str());
}

Result<std::optional<PurgeRow>> read_purge(const kv::Snapshot& snapshot, RoomNumber room) {
  POLDER_TRY(const auto value, snapshot.get(kRooms, purge_key(room)));
  if (!value) return std::optional<PurgeRow>();
  POLDER_TRY(PurgeRow row, decode(*value));
  return std::optional(std::move(row));
}

Status for_each_purge(const kv::Snapshot& snapshot,
                      const std::function<Status(RoomNumber, const PurgeRow&)>& visit) {
  const auto rows = snapshot.iterate(kRooms, kv::prefix_range(keys::KeyWriter(kPurgeTag).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    const RoomNumber room = key.u64();
    POLDER_TRY(const PurgeRow row, decode(rows->value()));
    POLDER_CHECK(visit(room, row));
  }
  return rows->status();
}

void put_history_purge(kv::Batch& batch, RoomNumber room, const HistoryPurgeRow& row) {
  batch.put(kRooms, history_purge_key(room),
            keys::ValueWriter(kFormat)
                .varint(static_cast<uint64_t>(row.below))
                .boolean(row.local_too)
                .varint(row.last)
                .varint(row.reached)
                .boolean(row.done)
                .str());
}

Result<std::optional<HistoryPurgeRow>> read_history_purge(const kv::Snapshot& snapshot,
                                                          RoomNumber room) {
  POLDER_TRY(const auto value, snapshot.get(kRooms, history_purge_key(room)));
  if (!value) return std::optional<HistoryPurgeRow>();
  POLDER_TRY(const HistoryPurgeRow row, decode_history_purge(*value));
  return std::optional(row);
}

Status for_each_history_purge(
    const kv::Snapshot& snapshot,
    const std::function<Status(RoomNumber, const HistoryPurgeRow&)>& visit) {
  const auto rows =
      snapshot.iterate(kRooms, kv::prefix_range(keys::KeyWriter(kHistoryPurgeTag).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u8();
    const RoomNumber room = key.u64();
    POLDER_TRY(const HistoryPurgeRow row, decode_history_purge(rows->value()));
    POLDER_CHECK(visit(room, row));
  }
  return rows->status();
}

void erase_room(kv::Batch& batch, RoomNumber room) {
  for (const auto& [column, range] : rows_of(room, Lifetime::kRoom))
    batch.erase_range(column, range.from, range.to);
}

void erase_membership(kv::Batch& batch, UserNumber user, RoomNumber room) {
  batch.erase(kMemberships, keys::KeyWriter().u64(user).u64(room).str());
}

void unlist_event(kv::Batch& batch, const EventId& id, kv::Position position) {
  batch.erase(kEventIds, event_id_bytes(id));
  if (position != 0) erase_stream_event(batch, position);
}

void erase_event(kv::Batch& batch, EventPlace place, const EventId& id) {
  const std::string key = keys::KeyWriter().u64(place.room).u64(place.number).str();
  batch.erase(kEvents, key);
  batch.erase(kEventRecords, key);
  batch.erase(kEventIds, event_id_bytes(id));
}

std::vector<RowRange> ranges_of_room(RoomNumber room) {
  return rows_of(room, Lifetime::kPurge);
}

}  // namespace polder::stores
