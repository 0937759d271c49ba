#include "storage/stores/touched/touched.h"

#include <algorithm>

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/rows.h"
#include "storage/stores/rooms/receipt_rows.h"
#include "storage/stores/rooms/room_rows.h"
#include "storage/stores/users/key_rows.h"

namespace polder::stores {
namespace {

void sort_out(std::vector<uint64_t>& numbers) {
  std::ranges::sort(numbers);
  const auto repeated = std::ranges::unique(numbers);
  numbers.erase(repeated.begin(), repeated.end());
}

void add_stream(keys::KeyReader& key, std::string_view value, Touched& touched) {
  switch (key.u8()) {
    case tag_of(Row::kAccountDataStream):
    case tag_of(Row::kSignedStream):
      touched.users.push_back(key.u64());
      break;
    case tag_of(Row::kDeviceListStream):
      touched.device_lists.push_back(user_of_device_list_change(value));
      break;
    case tag_of(Row::kReceiptStream):
      if (const auto user = reader_of_private_receipt(value)) {
        touched.users.push_back(*user);
      } else {
        touched.rooms.push_back(key.u64());
      }
      break;
    default:
      break;
  }
}

void add_put(kv::ColumnId column, std::string_view key_bytes, std::string_view value,
             bool has_positions, Touched& touched) {
  keys::KeyReader key(key_bytes);
  if (column == kStreams) {
    add_stream(key, value, touched);
  } else if (column == kRooms && has_positions && key.u8() == tag_of(Row::kRoom)) {
    touched.rooms.push_back(key.u64());
  } else if (column == kMemberships) {
    const UserNumber user = key.u64();
    (membership_in(value) == Membership::kJoin ? touched.members : touched.users).push_back(user);
  } else if (column == kToDevice) {
    touched.users.push_back(key.u64());
  }
}

void add_erased(kv::ColumnId column, std::string_view key_bytes, Touched& touched) {
  if (column != kSessions) return;
  keys::KeyReader key(key_bytes);
  if (key.u8() == tag_of(Row::kSessionOfUser)) touched.users.push_back(key.u64());
}

}  // namespace

bool Touched::empty() const {
  return rooms.empty() && users.empty() && members.empty() && device_lists.empty();
}

void Touched::merge() {
  for (auto* numbers : {&rooms, &users, &members, &device_lists})
    sort_out(*numbers);
}

void add_touched(const kv::Batch& batch, Touched& touched) {
  // A room's record without a position: nothing of it that anybody is told.
  const bool has_positions = batch.position_count() > 0;
  for (const kv::Batch::Op& op : batch.ops()) {
    if (op.kind == kv::Batch::OpKind::kPut) {
      add_put(op.column, batch.key(op), batch.value(op), has_positions, touched);
    } else if (op.kind == kv::Batch::OpKind::kErase) {
      add_erased(op.column, batch.key(op), touched);
    }
  }
}

}  // namespace polder::stores
