// One suite for both implementations, RocksDB on every disk.
#include "storage/kv/testing/places.h"

namespace polder::kv {
namespace {

enum class Kind : uint8_t { kMemory, kRocks, kRocksForgetting, kRocksEncrypted };

class DatabaseTest : public testing::TestWithParam<Kind> {
 protected:
  DatabaseTest() : place_(make_place()), db_(*place_->open()) {}

  std::unique_ptr<Place> make_place() const {
    switch (GetParam()) {
      case Kind::kMemory:
        return std::make_unique<MemoryPlace>();
      case Kind::kRocks:
        return std::make_unique<RocksPlace>();
      case Kind::kRocksForgetting:
        return std::make_unique<ForgettingRocksPlace>(clock_);
      case Kind::kRocksEncrypted:
        return std::make_unique<EncryptedRocksPlace>(clock_);
    }
    return nullptr;
  }
  void reopen() {
    ASSERT_TRUE(db_->close().ok());
    db_.reset();
    db_ = *place_->open();
  }
  Status write(Batch batch, bool sync = true) {
    const Position first = db_->last_position() + 1;
    batch.fill_positions(first);
    const Batch* one = &batch;
    return db_->write({&one, 1}, first, sync);
  }
  void put(std::string_view key, std::string_view value) {
    Batch batch;
    batch.put(1, key, value);
    ASSERT_TRUE(write(std::move(batch)).ok());
  }
  static std::string keys(Iterator& rows, bool forwards) {
    std::string all;
    for (; rows.valid(); forwards ? rows.next() : rows.prev())
      all.append(rows.key()).append("=").append(rows.value()).append(" ");
    EXPECT_TRUE(rows.status().ok());
    return all;
  }

  // First position and sequence number of each group of the log from a sequence number on.
  std::vector<std::pair<Position, uint64_t>> log_from(uint64_t sequence) {
    std::vector<std::pair<Position, uint64_t>> groups;
    const Status read = db_->read_log(sequence, [&](const LogGroup& group) {
      groups.emplace_back(group.first, group.sequence);
      return true;
    });
    EXPECT_TRUE(read.ok());
    return groups;
  }

  base::SystemClock clock_;
  std::unique_ptr<Place> place_;
  std::unique_ptr<Database> db_;
};

TEST_P(DatabaseTest, WhatIsWrittenIsRead) {
  put("a", "1");
  EXPECT_EQ(**db_->snapshot()->get(1, "a"), "1");
  EXPECT_FALSE(db_->snapshot()->get(1, "b")->has_value());
  EXPECT_FALSE(db_->snapshot()->get(0, "a")->has_value());
  const std::vector<std::string> wanted = {"b", "a", "c"};
  const auto values = db_->snapshot()->multi_get(1, wanted);
  EXPECT_EQ(*values, (std::vector<std::optional<std::string>>{std::nullopt, "1", std::nullopt}));
}

TEST_P(DatabaseTest, ASnapshotDoesNotChange) {
  put("a", "1");
  const auto before = db_->snapshot();
  put("a", "2");
  put("b", "3");
  Batch batch;
  batch.erase(1, "a");
  ASSERT_TRUE(write(std::move(batch)).ok());
  EXPECT_EQ(**before->get(1, "a"), "1");
  EXPECT_FALSE(before->get(1, "b")->has_value());
  EXPECT_FALSE(db_->snapshot()->get(1, "a")->has_value());
}

TEST_P(DatabaseTest, IteratorsWalkTheirRangeBothWays) {
  for (const char* key : {"a", "b", "c", "d", "e"})
    put(key, key);
  Batch batch;
  batch.erase(1, "c");
  ASSERT_TRUE(write(std::move(batch)).ok());
  const auto rows = db_->snapshot()->iterate(1, {"b", "e"});
  rows->seek_to_first();
  EXPECT_EQ(keys(*rows, true), "b=b d=d ");
  rows->seek_to_last();
  EXPECT_EQ(keys(*rows, false), "d=d b=b ");
  rows->seek("c");
  EXPECT_EQ(keys(*rows, true), "d=d ");
  rows->seek_for_prev("c");
  EXPECT_EQ(keys(*rows, false), "b=b ");
  rows->seek_for_prev("z");
  EXPECT_EQ(keys(*rows, false), "d=d b=b ");
  const auto all = db_->snapshot()->iterate(1, {});
  all->seek_to_last();
  EXPECT_EQ(keys(*all, false), "e=e d=d b=b a=a ");
  const auto none = db_->snapshot()->iterate(0, prefix_range("x"));
  none->seek_to_first();
  EXPECT_FALSE(none->valid());
}

TEST_P(DatabaseTest, ARangeIsErased) {
  for (const char* key : {"a", "b", "c", "d"})
    put(key, key);
  const auto before = db_->snapshot();
  Batch batch;
  batch.erase_range(1, "b", "d");
  ASSERT_TRUE(write(std::move(batch)).ok());
  const auto rows = db_->snapshot()->iterate(1, {});
  rows->seek_to_first();
  EXPECT_EQ(keys(*rows, true), "a=a d=d ");
  EXPECT_EQ(**before->get(1, "b"), "b");
}

TEST_P(DatabaseTest, GroupsAreWrittenWholeAndPositionsOutliveReopening) {
  Batch a, b;
  const Batch::Patch patch{0, a.reserve_position()};
  a.put(1, std::string(8, '\0'), {&patch, 1}, "a", {});
  static_cast<void>(b.reserve_position());
  static_cast<void>(b.reserve_position());
  b.put(1, "b", "b");
  a.fill_positions(1);
  b.fill_positions(2);
  const std::array<const Batch*, 2> group = {&a, &b};
  ASSERT_TRUE(db_->write(group, 1, true).ok());
  EXPECT_EQ(db_->last_position(), 3u);
  reopen();
  EXPECT_EQ(db_->last_position(), 3u);
  EXPECT_EQ(**db_->snapshot()->get(1, std::string("\0\0\0\0\0\0\0\1", 8)), "a");
  ASSERT_TRUE(db_->flush().ok());
  reopen();
  EXPECT_EQ(db_->last_position(), 3u);
  EXPECT_EQ(**db_->snapshot()->get(1, "b"), "b");
}

TEST_P(DatabaseTest, TheLogHasEveryGroupInOrder) {
  for (int i = 0; i < 5; ++i) {
    Batch batch;
    static_cast<void>(batch.reserve_position());
    batch.put(1, "key" + std::to_string(i), std::to_string(i));
    batch.erase(0, "gone");
    batch.erase_range(0, "from", "to");
    ASSERT_TRUE(write(std::move(batch)).ok());
  }
  std::vector<Position> firsts;
  uint64_t third = 0;
  ASSERT_TRUE(db_->read_log(0,
                            [&](const LogGroup& group) {
                              EXPECT_EQ(group.positions, 1u);
                              EXPECT_EQ(group.batch.ops().size(), 3u);
                              EXPECT_EQ(group.batch.value(group.batch.ops()[0]),
                                        std::to_string(firsts.size()));
                              firsts.push_back(group.first);
                              if (firsts.size() == 3) third = group.sequence;
                              return true;
                            })
                  .ok());
  EXPECT_EQ(firsts, (std::vector<Position>{1, 2, 3, 4, 5}));
  firsts.clear();
  ASSERT_TRUE(db_->read_log(third,
                            [&](const LogGroup& group) {
                              firsts.push_back(group.first);
                              return firsts.size() < 2;
                            })
                  .ok());
  EXPECT_EQ(firsts, (std::vector<Position>{3, 4}));
}

TEST_P(DatabaseTest, TheLogOutlivesReopeningAndWhatWasMovedOutOfIt) {
  const auto write_one = [&] {
    Batch batch;
    static_cast<void>(batch.reserve_position());
    batch.put(0, "key", "value");
    ASSERT_TRUE(write(std::move(batch)).ok());
  };
  write_one();
  write_one();
  ASSERT_TRUE(db_->flush().ok());
  write_one();
  const auto before = log_from(0);
  ASSERT_EQ(before.size(), 3u);
  reopen();
  EXPECT_EQ(log_from(0), before);
  write_one();
  ASSERT_TRUE(db_->flush().ok());
  write_one();
  const auto after = log_from(0);
  ASSERT_EQ(after.size(), 5u);
  EXPECT_TRUE(std::ranges::equal(before, std::span(after).first(3)));
  EXPECT_EQ(after[4].first, 5u);
  // Whoever has seen a group goes on after its number.
  for (size_t seen = 0; seen < after.size(); ++seen) {
    const auto rest = log_from(after[seen].second + 1);
    EXPECT_TRUE(std::ranges::equal(rest, std::span(after).subspan(seen + 1))) << seen;
  }
}

std::string name_of(const testing::TestParamInfo<Kind>& run) {
  constexpr std::array kNames = {"Memory", "Rocks", "RocksForgetting", "RocksEncrypted"};
  return kNames.at(static_cast<size_t>(run.param));
}

INSTANTIATE_TEST_SUITE_P(All, DatabaseTest,
                         testing::Values(Kind::kMemory, Kind::kRocks, Kind::kRocksForgetting,
                                         Kind::kRocksEncrypted),
                         name_of);

TEST(Memory, PowerLossForgetsUnsyncedGroupsButNoPartOfOne) {
  for (const size_t keep : {size_t{0}, size_t{1}, size_t{2}}) {
    MemoryDisk disk;
    auto db = open_memory(kTestColumns, disk);
    for (int i = 0; i < 4; ++i) {
      Batch batch;
      batch.put(0, "k" + std::to_string(i), "x");
      batch.put(1, "k" + std::to_string(i), "y");
      const Batch* one = &batch;
      ASSERT_TRUE(db->write({&one, 1}, 1, i == 1).ok());
    }
    EXPECT_EQ(disk.unsynced(), 2u);
    db.reset();
    disk.power_loss(keep);
    db = open_memory(kTestColumns, disk);
    for (size_t i = 0; i < 4; ++i) {
      const std::string key = "k" + std::to_string(i);
      EXPECT_EQ(db->snapshot()->get(0, key)->has_value(), i < 2 + keep);
      EXPECT_EQ(db->snapshot()->get(1, key)->has_value(), i < 2 + keep);
    }
  }
}

TEST(Memory, AFailedWriteStopsWritingUntilResumed) {
  MemoryDisk disk;
  const auto db = open_memory(kTestColumns, disk);
  Batch batch;
  batch.put(0, "k", "v");
  const Batch* one = &batch;
  disk.fail_after(1);
  EXPECT_EQ(db->write({&one, 1}, 1, true).error().code, ErrorCode::kIo);
  EXPECT_TRUE(db->read_only());
  EXPECT_EQ(db->write({&one, 1}, 1, true).error().code, ErrorCode::kReadOnly);
  EXPECT_FALSE(db->snapshot()->get(0, "k")->has_value());
  ASSERT_TRUE(db->resume().ok());
  EXPECT_TRUE(db->write({&one, 1}, 1, true).ok());
}

}  // namespace
}  // namespace polder::kv
