#include "storage/stores/touched/touched.h"

#include <gtest/gtest.h>

#include "storage/stores/rooms/event_rows.h"
#include "storage/stores/rooms/receipt_rows.h"
#include "storage/stores/rooms/room_rows.h"
#include "storage/stores/users/key_rows.h"
#include "storage/stores/users/user_rows.h"

namespace polder::stores {
namespace {

using Numbers = std::vector<uint64_t>;
constexpr UserNumber kUser = 3;
constexpr RoomNumber kRoom = 5;

Touched touched_by(const std::function<void(kv::Batch&)>& write) {
  kv::Batch batch;
  write(batch);
  batch.fill_positions(1000);
  Touched touched;
  add_touched(batch, touched);
  touched.merge();
  return touched;
}

void put_read(kv::Batch& batch, std::string type) {
  ReceiptRow row;
  row.user = kUser;
  row.type = std::move(type);
  row.event = EventId::trusted("$e");
  put_receipt(batch, kRoom, row, batch.reserve_position(), std::nullopt);
}

void put_member(kv::Batch& batch, Membership membership) {
  MembershipRow row;
  row.membership = membership;
  put_membership(batch, kUser, kRoom, row, batch.reserve_position());
}

TEST(Touched, FollowsFromTheRowsOfACommit) {
  const DeviceId device = DeviceId::trusted("D");
  struct Case {
    std::string_view what;
    std::function<void(kv::Batch&)> write;
    Numbers rooms, users, members, device_lists;
  };
  for (const Case& c : std::vector<Case>{
           {"nothing", [](kv::Batch&) {}, {}, {}, {}, {}},
           {"account data",
            [](kv::Batch& batch) {
              put_account_data(batch, kUser, kRoom, "t", "{}", batch.reserve_position(), 0);
            },
            {},
            {kUser},
            {},
            {}},
           {"push rules",
            [](kv::Batch& batch) {
              put_push_rules(batch, kUser, "{}", batch.reserve_position(), 0);
            },
            {},
            {kUser},
            {},
            {}},
           {"a receipt", [](kv::Batch& batch) { put_read(batch, "m.read"); }, {kRoom}, {}, {}, {}},
           {"a private receipt",
            [](kv::Batch& batch) { put_read(batch, "m.read.private"); },
            {},
            {kUser},
            {},
            {}},
           {"a join",
            [](kv::Batch& batch) { put_member(batch, Membership::kJoin); },
            {},
            {},
            {kUser},
            {}},
           {"an invite",
            [](kv::Batch& batch) { put_member(batch, Membership::kInvite); },
            {},
            {kUser},
            {},
            {}},
           {"a message to a device",
            [&](kv::Batch& batch) {
              put_to_device(batch, kUser, device, batch.reserve_position(), "{}");
            },
            {},
            {kUser},
            {},
            {}},
           {"a device list",
            [&](kv::Batch& batch) {
              put_device_list_change(batch, batch.reserve_position(), kUser, device);
            },
            {},
            {},
            {},
            {kUser}},
           {"a session's end",
            [](kv::Batch& batch) { erase_session(batch, Digest{}, kUser); },
            {},
            {kUser},
            {},
            {}},
           {"a filter, of which nobody is told",
            [](kv::Batch& batch) { put_filter(batch, kUser, 1, "{}"); },
            {},
            {},
            {},
            {}},
           {"acknowledged messages",
            [&](kv::Batch& batch) { erase_device(batch, kUser, device); },
            {},
            {},
            {},
            {}},
       }) {
    const Touched touched = touched_by(c.write);
    EXPECT_EQ(touched.rooms, c.rooms) << c.what;
    EXPECT_EQ(touched.users, c.users) << c.what;
    EXPECT_EQ(touched.members, c.members) << c.what;
    EXPECT_EQ(touched.device_lists, c.device_lists) << c.what;
  }
}

TEST(Touched, ARoomIsTouchedByWhatHasAPosition) {
  const auto put = [](kv::Batch& batch) {
    RoomRecord record;
    record.id = RoomId::trusted("!r:x");
    put_room(batch, kRoom, record);
  };
  EXPECT_TRUE(touched_by(put).empty());
  EXPECT_EQ(touched_by([&](kv::Batch& batch) {
              batch.reserve_position();
              put(batch);
            }).rooms,
            Numbers{kRoom});
}

}  // namespace
}  // namespace polder::stores
