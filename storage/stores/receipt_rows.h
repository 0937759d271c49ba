// Rows of read receipts (https://spec.matrix.org/v1.19/client-server-api/#receipts).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"
#include "storage/stores/names.h"

namespace polder::stores {

struct ReceiptRow {
  UserNumber user = 0;
  std::string type;    // "m.read", "m.read.private"
  std::string thread;  // empty: unthreaded
  EventId event;
  int64_t ts_ms = 0;
  kv::Position position = 0;
};

// Replaces the receipt of the same user, type and thread; `replaced` is that one's position, so
// that the room's stream has each receipt once.
void put_receipt(kv::Batch& batch, RoomNumber room, const ReceiptRow& row, kv::PositionSlot slot,
                 std::optional<kv::Position> replaced);
Result<std::optional<ReceiptRow>> read_receipt(const kv::Snapshot& snapshot, RoomNumber room,
                                               UserNumber user, std::string_view type,
                                               std::string_view thread);
// The latest of every user, type and thread.
Result<std::vector<ReceiptRow>> read_receipts(const kv::Snapshot& snapshot, RoomNumber room);
// Those of from < position <= to, oldest first.
Result<std::vector<ReceiptRow>> read_receipts_since(const kv::Snapshot& snapshot, RoomNumber room,
                                                    kv::Position from, kv::Position to);

}  // namespace polder::stores
