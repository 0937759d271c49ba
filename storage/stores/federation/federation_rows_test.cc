#include "storage/stores/federation/federation_rows.h"

#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"

namespace polder::stores {
namespace {

class FederationRowsTest : public testing::Test {
 protected:
  void write(const kv::Batch& batch) {
    const kv::Batch* const batches[] = {&batch};
    ASSERT_TRUE(database_->write(batches, 1, true).ok());
  }
  std::shared_ptr<const kv::Snapshot> snapshot() const { return database_->snapshot(); }

  kv::MemoryDisk disk_;
  std::unique_ptr<kv::Database> database_ = kv::open_memory(kColumns, disk_);
  const ServerName a_ = ServerName::trusted("a.example");
  const ServerName ab_ = ServerName::trusted("a.example:8448");
};

TEST_F(FederationRowsTest, KeysAreReadBack) {
  kv::Batch batch;
  put_known_keys(batch, a_, {5, "{}", {{KeyId::trusted("ed25519:1"), "AAAA", -7}}});
  write(batch);
  const auto known = read_known_keys(*snapshot(), a_);
  ASSERT_TRUE(known.ok() && *known);
  EXPECT_EQ((*known)->fetched_ms, 5);
  EXPECT_EQ((*known)->response, "{}");
  ASSERT_EQ((*known)->keys.size(), 1u);
  EXPECT_EQ((*known)->keys[0].id.view(), "ed25519:1");
  EXPECT_EQ((*known)->keys[0].key, "AAAA");
  EXPECT_EQ((*known)->keys[0].valid_until_ms, -7);
  EXPECT_FALSE(read_known_keys(*snapshot(), ab_)->has_value());
}

TEST_F(FederationRowsTest, DamagedKeysAreNoticed) {
  kv::Batch batch;
  batch.put(kFederation, std::string("\x01") + a_.str(), "\x01\x00");
  write(batch);
  EXPECT_EQ(read_known_keys(*snapshot(), a_).error().code, ErrorCode::kCorrupt);
}

TEST_F(FederationRowsTest, PlacesAndForwardsComeAndGo) {
  const EventId event = EventId::trusted("$x");
  kv::Batch batch;
  put_backlog(batch, ab_, {4});
  put_backlog(batch, a_, {3});
  put_forward(batch, event);
  write(batch);
  EXPECT_EQ(*read_backlogs(*snapshot()),
            (std::vector<std::pair<ServerName, Backlog>>{{a_, {3}}, {ab_, {4}}}));
  EXPECT_TRUE(*is_forward(*snapshot(), event));
  EXPECT_EQ(*read_forwards(*snapshot()), std::vector<EventId>(1, event));
  kv::Batch gone;
  erase_backlog(gone, a_);
  erase_forward(gone, event);
  write(gone);
  EXPECT_EQ(read_backlogs(*snapshot())->size(), 1u);
  EXPECT_FALSE(*is_forward(*snapshot(), event));
}

TEST_F(FederationRowsTest, MessagesAreKnownOnTheDaysThatAreKept) {
  kv::Batch batch;
  put_known_message(batch, a_, 10, "x");
  put_known_message(batch, a_, 12, "y");
  write(batch);
  const auto find = [&](const ServerName& origin, uint32_t from, uint32_t to, const char* id) {
    return *find_known_message(*snapshot(), origin, from, to, id);
  };
  EXPECT_TRUE(find(a_, 10, 12, "x").known);
  EXPECT_TRUE(find(a_, 12, 12, "y").known);
  EXPECT_FALSE(find(a_, 11, 12, "x").known);
  EXPECT_FALSE(find(a_, 10, 12, "z").known);
  EXPECT_FALSE(find(ab_, 10, 12, "x").known);
  EXPECT_FALSE(find(a_, 10, 12, "x").outdated);
  EXPECT_TRUE(find(a_, 11, 12, "x").outdated);
  EXPECT_FALSE(find(ab_, 11, 12, "x").outdated);
  kv::Batch gone;
  erase_known_messages(gone, a_, 11);
  write(gone);
  EXPECT_FALSE(find(a_, 10, 12, "x").known);
  EXPECT_TRUE(find(a_, 10, 12, "y").known);
  EXPECT_FALSE(find(a_, 11, 12, "y").outdated);
}

TEST_F(FederationRowsTest, WaitingEventsAreReadBack) {
  const WaitingEvent first{a_, EventId::trusted("$1"), RoomId::trusted("!r:a"), -3, 5};
  const WaitingEvent second{ab_, EventId::trusted("$1"), RoomId::trusted("!r:a"), 4, 6};
  kv::Batch batch;
  put_waiting(batch, first, "{}");
  put_waiting(batch, second, "{\"a\":1}");
  write(batch);
  const auto waiting = *read_waiting(*snapshot());
  ASSERT_EQ(waiting.size(), 2u);
  EXPECT_EQ(waiting[0].origin, a_);
  EXPECT_EQ(waiting[0].event.view(), "$1");
  EXPECT_EQ(waiting[0].room.view(), "!r:a");
  EXPECT_EQ(waiting[0].depth, -3);
  EXPECT_EQ(waiting[0].since_ms, 5);
  EXPECT_EQ(*read_waiting_pdu(*snapshot(), second), "{\"a\":1}");
  kv::Batch gone;
  erase_waiting(gone, second);
  write(gone);
  EXPECT_EQ(read_waiting(*snapshot())->size(), 1u);
  EXPECT_EQ(*read_waiting_pdu(*snapshot(), second), std::nullopt);
}

}  // namespace
}  // namespace polder::stores
