#include "storage/stores/rooms/receipt_rows.h"

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/rows.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;

std::string stream_key(RoomNumber room, kv::Position position) {
  return keys::KeyWriter(tag_of(Row::kReceiptStream)).u64(room).u64(position).str();
}

keys::KeyWriter receipt_key(RoomNumber room, UserNumber user, std::string_view type,
                            std::string_view thread) {
  keys::KeyWriter key;
  key.u64(room).u64(user).text(type).tail(thread);
  return key;
}

Status read_value(std::string_view bytes, ReceiptRow& row) {
  keys::ValueReader value(bytes, kFormat);
  row.position = value.fixed64();
  row.ts_ms = value.signed_varint();
  row.event = EventId::trusted(std::string(value.tail()));
  return value.finish("receipt");
}

Result<std::vector<ReceiptRow>> read_with_prefix(const kv::Snapshot& snapshot,
                                                 std::string_view prefix) {
  std::vector<ReceiptRow> receipts;
  const auto rows = snapshot.iterate(kReceipts, kv::prefix_range(prefix));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u64();
    ReceiptRow row;
    row.user = key.u64();
    row.type = key.text();
    row.thread = key.tail();
    POLDER_CHECK(read_value(rows->value(), row));
    receipts.push_back(std::move(row));
  }
  POLDER_CHECK(rows->status());
  return receipts;
}

}  // namespace

void put_receipt(kv::Batch& batch, RoomNumber room, const ReceiptRow& row, kv::PositionSlot slot,
                 std::optional<kv::Position> replaced) {
  keys::put(
      batch, kReceipts, receipt_key(room, row.user, row.type, row.thread),
      keys::ValueWriter(kFormat).position(slot).signed_varint(row.ts_ms).tail(row.event.view()));
  if (replaced) batch.erase(kStreams, stream_key(room, *replaced));
  keys::put(batch, kStreams, keys::KeyWriter(tag_of(Row::kReceiptStream)).u64(room).position(slot),
            keys::ValueWriter(kFormat).varint(row.user).text(row.type).tail(row.thread));
}

Result<std::optional<ReceiptRow>> read_receipt(const kv::Snapshot& snapshot, RoomNumber room,
                                               UserNumber user, std::string_view type,
                                               std::string_view thread) {
  POLDER_TRY(const auto bytes, snapshot.get(kReceipts, receipt_key(room, user, type, thread)));
  if (!bytes) return std::optional<ReceiptRow>();
  ReceiptRow row;
  row.user = user;
  row.type = type;
  row.thread = thread;
  POLDER_CHECK(read_value(*bytes, row));
  return std::optional(std::move(row));
}

std::optional<UserNumber> reader_of_private_receipt(std::string_view value) {
  keys::ValueReader reader(value, kFormat);
  const UserNumber user = reader.varint();
  return reader.text() == "m.read.private" ? std::optional(user) : std::nullopt;
}

void erase_receipt(kv::Batch& batch, RoomNumber room, const ReceiptRow& row) {
  batch.erase(kReceipts, receipt_key(room, row.user, row.type, row.thread));
  batch.erase(kStreams, stream_key(room, row.position));
}

Result<std::vector<ReceiptRow>> read_receipts(const kv::Snapshot& snapshot, RoomNumber room) {
  return read_with_prefix(snapshot, keys::KeyWriter().u64(room));
}

Result<std::vector<ReceiptRow>> read_receipts_of(const kv::Snapshot& snapshot, RoomNumber room,
                                                 UserNumber user) {
  return read_with_prefix(snapshot, keys::KeyWriter().u64(room).u64(user));
}

Result<std::vector<ReceiptRow>> read_receipts_between(const kv::Snapshot& snapshot, RoomNumber room,
                                                      kv::Position from, kv::Position to,
                                                      size_t limit) {
  std::vector<ReceiptRow> receipts;
  const auto rows =
      snapshot.iterate(kStreams, {stream_key(room, from + 1), stream_key(room, to + 1)});
  for (rows->seek_to_last(); rows->valid() && receipts.size() < limit; rows->prev()) {
    keys::ValueReader value(rows->value(), kFormat);
    const UserNumber user = value.varint();
    const std::string type(value.text());
    const std::string thread(value.tail());
    POLDER_CHECK(value.finish("receipt stream"));
    POLDER_TRY(auto row, read_receipt(snapshot, room, user, type, thread));
    if (row) receipts.push_back(*std::move(row));
  }
  POLDER_CHECK(rows->status());
  return receipts;
}

}  // namespace polder::stores
