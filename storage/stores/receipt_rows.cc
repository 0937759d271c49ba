#include "storage/stores/receipt_rows.h"

#include <algorithm>

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/columns.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kReceiptStream = 4;  // tag in column streams

std::string change_key(kv::Position position) { return keys::KeyWriter(kReceiptStream).u64(position).str(); }

}  // namespace

void put_receipt(kv::Batch& batch, RoomNumber room, const ReceiptRow& row, kv::PositionSlot slot) {
  keys::put(batch, kReceipts, keys::KeyWriter().u64(room).u64(row.user).text(row.type).tail(row.thread),
            keys::ValueWriter(kFormat).position(slot).signed_varint(row.ts_ms).tail(row.event.view()));
  keys::put(batch, kStreams, keys::KeyWriter(kReceiptStream).position(slot), keys::ValueWriter(kFormat).varint(room));
}

Result<std::vector<ReceiptRow>> read_receipts(const kv::Snapshot& snapshot, RoomNumber room) {
  std::vector<ReceiptRow> receipts;
  const auto rows = snapshot.iterate(kReceipts, kv::prefix_range(keys::KeyWriter().u64(room).str()));
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::KeyReader key(rows->key());
    key.u64();
    ReceiptRow row;
    row.user = key.u64();
    row.type = key.text();
    row.thread = key.tail();
    keys::ValueReader value(rows->value(), kFormat);
    row.position = value.fixed64();
    row.ts_ms = value.signed_varint();
    row.event = EventId::trusted(std::string(value.tail()));
    POLDER_CHECK(value.finish("receipt"));
    receipts.push_back(std::move(row));
  }
  POLDER_CHECK(rows->status());
  return receipts;
}

Result<std::vector<RoomNumber>> read_receipt_changes(const kv::Snapshot& snapshot, kv::Position from, kv::Position to) {
  std::vector<RoomNumber> rooms;
  const auto rows = snapshot.iterate(kStreams, {change_key(from + 1), change_key(to + 1)});
  for (rows->seek_to_first(); rows->valid(); rows->next()) {
    keys::ValueReader value(rows->value(), kFormat);
    const RoomNumber room = value.varint();
    POLDER_CHECK(value.finish("receipt stream"));
    if (std::ranges::find(rooms, room) == rooms.end()) rooms.push_back(room);
  }
  POLDER_CHECK(rows->status());
  return rooms;
}

}  // namespace polder::stores
