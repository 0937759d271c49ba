#include "federation/devices/list_updates.h"

#include "federation/devices/testing/world.h"

namespace polder::devices {
namespace {

class ListUpdatesTest : public WorldTest {
 protected:
  ListUpdatesTest() {
    join(1, kAlice);
    join(1, kBob);
    join(2, kAlice);
    add_device(kAlice);
  }
  // "PHONE 5<-3": device, stream_id, prev_id; "keys" for cross-signing keys.
  std::vector<std::string> told(const ServerName& server) {
    std::vector<std::string> found;
    for (const wire::Edu& edu : edus(server)) {
      EXPECT_EQ(*edu.content.find_string("user_id"), kAlice.str());
      if (edu.type == "m.signing_key_update") {
        found.push_back("keys");
        continue;
      }
      EXPECT_EQ(edu.type, "m.device_list_update");
      std::string text = *edu.content.find_string("device_id") + " " +
                         std::to_string(*edu.content.find_int("stream_id")) + "<-";
      for (const json::Value& prev : *edu.content.find_array("prev_id"))
        text += std::to_string(*prev.as_int());
      found.push_back(text);
    }
    return found;
  }
  std::vector<kv::Position> positions() {
    std::vector<kv::Position> found;
    const auto log =
        *stores::read_device_list_log(*database_->snapshot(), 0, committer_->visible(), 10'000);
    for (const stores::DeviceListChange& change : log)
      found.push_back(change.position);
    return found;
  }
  std::string update(const std::string& device, size_t change, std::optional<size_t> previous) {
    const auto all = positions();
    return device + " " + std::to_string(all[change]) + "<-" +
           (previous ? std::to_string(all[*previous]) : "");
  }
};

using Told = std::vector<std::string>;

// "That user joins a room which contains servers which are not already receiving updates for that
// user's device list."
class EnteringTest : public ListUpdatesTest {
 protected:
  void enter(stores::RoomNumber room, const UserId& user) {
    const auto user_number = number(user);
    const auto server = intern(stores::NameKind::kServer, user.server());
    commit([&](kv::Batch& batch) {
      stores::MembershipRow row;
      row.membership = stores::Membership::kJoin;
      const auto slot = batch.reserve_position();
      stores::put_membership(batch, user_number, room, row, slot);
      stores::put_server_count(batch, room, server, 1);
      stores::put_room_entry(batch, slot, user_number, room);
    });
  }
  std::vector<stores::RoomEntry> entries() {
    return *stores::read_room_entries(*database_->snapshot(), 0, committer_->visible(), 100);
  }
};

TEST_F(EnteringTest, ServersThatKnowNothingOfTheUserAreToldOnce) {
  start();
  upload(kAlice, "one");
  run(1000);
  join(3, kBob);
  join(3, kCarol);
  enter(3, kAlice);
  const auto entered = std::to_string(entries().at(0).position);
  const std::string last = std::to_string(positions().at(0));
  run(3000);
  EXPECT_EQ(told(kB), (Told{update("PHONE", 0, {})})) << "it was told before";
  EXPECT_EQ(told(kC), (Told{"PHONE " + entered + "<-" + last}));
  EXPECT_EQ(*edus(kC)[0].content.find_object("keys"), keys_of(kAlice, "PHONE", "one"));
  join(4, kCarol);
  enter(4, kAlice);
  run(3000);
  EXPECT_EQ(told(kC).size(), 1u);
  upload(kAlice, "two");
  run(1000);
  EXPECT_EQ(told(kB).back(), update("PHONE", 1, 0)) << "for it, nothing is missing";
  EXPECT_EQ(told(kC).back(), update("PHONE", 1, 0));
  EXPECT_TRUE(entries().empty());
}

TEST_F(EnteringTest, ADeviceWithoutKeysIsToldToo) {
  start();
  join(3, kCarol);
  enter(3, kAlice);
  const auto entered = std::to_string(entries().at(0).position);
  run(3000);
  EXPECT_EQ(told(kC), (Told{"PHONE " + entered + "<-"}));
  EXPECT_FALSE(edus(kC)[0].content.contains("keys"));
}

TEST_F(EnteringTest, WhoIsUnreachableIsToldLater) {
  start();
  servers_->down = {kC};
  join(3, kCarol);
  join(4, kBob);
  enter(3, kAlice);
  enter(4, kAlice);
  run(3000);
  lose_power();
  servers_->down = {kC};
  start();
  run(3000);
  EXPECT_EQ(entries().size(), 1u) << "nobody waits for the other";
  lose_power();
  start();
  run(10'000);
  EXPECT_EQ(told(kC).size(), 1u);
  EXPECT_TRUE(told(kB).empty());
  upload(kAlice, "one");
  run(3000);
  EXPECT_TRUE(entries().empty());
}

TEST_F(EnteringTest, WhoeverHasLeftMeanwhileIsNotToldOf) {
  start();
  servers_->down = {kC};
  join(3, kCarol);
  enter(3, kAlice);
  run(1000);
  leave(3, kAlice);
  servers_->down.clear();
  run(20'000);
  EXPECT_TRUE(told(kC).empty());
}

TEST_F(ListUpdatesTest, ChangesAreOneSequenceForTheServersThatShareARoom) {
  start();
  upload(kAlice, "one");
  run(1000);
  json::Object body{{"master_key", signing_key_of(kAlice, "master", "m")}};
  ASSERT_TRUE(wait(keys_->upload_cross_signing(session(kAlice), body, false)).ok());
  upload(kAlice, "two");
  run(1000);
  EXPECT_EQ(told(kB), (Told{update("PHONE", 0, {}), "keys", update("PHONE", 2, 0)}));
  EXPECT_TRUE(told(kC).empty());
  join(2, kCarol);
  upload(kAlice, "three");
  run(1000);
  EXPECT_EQ(told(kC), (Told{update("PHONE", 3, 2)}));
}

TEST_F(ListUpdatesTest, ADeviceIsToldWithItsKeysOrAsDeleted) {
  start();
  upload(kAlice, "one");
  run(1000);
  const json::Object& added = edus(kB)[0].content;
  EXPECT_EQ(*added.find_object("keys"), keys_of(kAlice, "PHONE", "one"));
  EXPECT_EQ(*added.find_string("device_display_name"), "phone of alice");
  EXPECT_FALSE(added.contains("deleted"));
  commit([&](kv::Batch& batch) {
    stores::erase_device(batch, number(kAlice), kPhone);
    stores::put_device_list_change(batch, batch.reserve_position(), number(kAlice), kPhone);
  });
  run(1000);
  ASSERT_EQ(edus(kB).size(), 2u);
  const json::Object& gone = edus(kB)[1].content;
  EXPECT_EQ(gone.find_bool("deleted"), true);
  EXPECT_FALSE(gone.contains("keys"));
}

// Whatever one user managed to store, others' updates go out.
TEST_F(ListUpdatesTest, AnUpdateThatIsTooLargeStopsNoOther) {
  const UserId dora = UserId::trusted("@dora:own.example");
  join(1, dora);
  add_device(dora);
  start();
  for (const size_t size : {size_t{100'000}, size_t{2'000'000}}) {
    servers_->edus.clear();
    json::Object keys = keys_of(kAlice, "PHONE", "one");
    keys.set("padding", std::string(size, 'x'));
    commit([&](kv::Batch& batch) {
      stores::put_device_keys(batch, number(kAlice), kPhone, json::write(keys));
      stores::put_device_list_change(batch, batch.reserve_position(), number(kAlice), kPhone);
    });
    upload(dora, "key " + std::to_string(size));
    run(5000);
    ASSERT_EQ(edus(kB).size(), 2u) << size;
    EXPECT_EQ(*edus(kB)[0].content.find_string("user_id"), kAlice.str());
    EXPECT_FALSE(edus(kB)[0].content.contains("keys"));
    EXPECT_TRUE(edus(kB)[0].content.contains("stream_id"));
    EXPECT_EQ(*edus(kB)[1].content.find_string("user_id"), dora.str());
    EXPECT_TRUE(edus(kB)[1].content.contains("keys"));
  }
}

TEST_F(ListUpdatesTest, ChangesSurviveAnOutageAndAPowerCut) {
  start();
  servers_->down = {kB};
  upload(kAlice, "one");
  run(3000);
  upload(kAlice, "two");
  lose_power();  // at once: the second was not yet handed out
  servers_->down = {kB};
  start();
  run(3000);
  EXPECT_TRUE(told(kB).empty());
  lose_power();
  start();
  run(10'000);
  EXPECT_EQ(told(kB), (Told{update("PHONE", 0, {}), update("PHONE", 1, 0)}));
  run(5000);
  halt();
  boot();
  start();
  run(10'000);
  EXPECT_TRUE(told(kB).empty());
}

TEST_F(ListUpdatesTest, WhoeverSharesNoRoomAnyMoreIsNotTold) {
  start();
  servers_->down = {kB};
  upload(kAlice, "one");
  run(1000);
  leave(1, kAlice);
  servers_->down.clear();
  run(20'000);
  EXPECT_TRUE(told(kB).empty());
}

// The gap in the sequence makes the other server ask for the whole list.
TEST_F(ListUpdatesTest, OfTooManyChangesOnlyTheLastIsTold) {
  start();
  servers_->down = {kB};
  for (size_t i = 0; i <= kChangesToldMax; ++i)
    upload(kAlice, "k" + std::to_string(i));
  servers_->down.clear();
  run(20'000);
  EXPECT_EQ(told(kB), (Told{update("PHONE", kChangesToldMax, kChangesToldMax - 1)}));
  upload(kAlice, "next");
  run(1000);
  EXPECT_EQ(told(kB).back(), update("PHONE", kChangesToldMax + 1, kChangesToldMax));
}

// CVE-2023-43796: what others told of their users goes to nobody else.
TEST_F(ListUpdatesTest, ChangesOfOtherServersUsersAreNotToldOn) {
  join(1, kCarol);
  start();
  commit([&](kv::Batch& batch) {
    stores::put_device_list_change(batch, batch.reserve_position(), number(kCarol), {});
  });
  run(5000);
  EXPECT_TRUE(edus(kB).empty());
  EXPECT_TRUE(edus(kC).empty());
}

}  // namespace
}  // namespace polder::devices
