// Rows of read receipts (https://spec.matrix.org/v1.19/client-server-api/#receipts).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/values/ids.h"
#include "storage/kv/kv.h"
#include "storage/stores/base/names.h"

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
// Whose private receipt a row of the room's stream is; nothing if everybody may know of it.
std::optional<UserNumber> reader_of_private_receipt(std::string_view value);
void erase_receipt(kv::Batch& batch, RoomNumber room, const ReceiptRow& row);
// The latest of every user, type and thread.
Result<std::vector<ReceiptRow>> read_receipts(const kv::Snapshot& snapshot, RoomNumber room);
// The latest of every type and thread of one user.
Result<std::vector<ReceiptRow>> read_receipts_of(const kv::Snapshot& snapshot, RoomNumber room,
                                                 UserNumber user);
// Those of from < position <= to, newest first, at most limit.
Result<std::vector<ReceiptRow>> read_receipts_between(const kv::Snapshot& snapshot, RoomNumber room,
                                                      kv::Position from, kv::Position to,
                                                      size_t limit);

}  // namespace polder::stores
