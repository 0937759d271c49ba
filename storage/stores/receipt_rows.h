// Rows of read receipts (https://spec.matrix.org/v1.19/client-server-api/#receipts).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "homeserver/base/ids.h"
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

void put_receipt(kv::Batch& batch, RoomNumber room, const ReceiptRow& row, kv::PositionSlot slot);
// The latest of every user, type and thread.
Result<std::vector<ReceiptRow>> read_receipts(const kv::Snapshot& snapshot, RoomNumber room);
// The rooms with receipts of from < position <= to.
Result<std::vector<RoomNumber>> read_receipt_changes(const kv::Snapshot& snapshot, kv::Position from, kv::Position to);

}  // namespace polder::stores
