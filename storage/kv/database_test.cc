// One suite for both implementations.
#include <filesystem>

#include "storage/kv/memory.h"
#include "storage/kv/rocks.h"

namespace polder::kv {
namespace {

constexpr std::array<ColumnSpec, 2> kTestColumns = {
    {{"point", "", Access::kPoint}, {"scan", "", Access::kScan}}};

// Opens the same database again and again.
class Place {
 public:
  virtual ~Place() = default;
  virtual std::unique_ptr<Database> open() = 0;
};

class MemoryPlace final : public Place {
 public:
  std::unique_ptr<Database> open() override { return open_memory(kTestColumns, disk_); }

 private:
  MemoryDisk disk_;
};

class RocksPlace final : public Place {
 public:
  RocksPlace() {
    std::string pattern = testing::TempDir() + "polder-kv-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~RocksPlace() override { std::filesystem::remove_all(directory_); }
  std::unique_ptr<Database> open() override {
    return std::move(*open_rocks({.directory = directory_ + "/db"}, kTestColumns));
  }

 private:
  std::string directory_;
};

class DatabaseTest : public testing::TestWithParam<bool> {
 protected:
  DatabaseTest() {
    if (GetParam()) {
      place_ = std::make_unique<RocksPlace>();
    } else {
      place_ = std::make_unique<MemoryPlace>();
    }
    db_ = place_->open();
  }
  void reopen() {
    ASSERT_TRUE(db_->close().ok());
    db_.reset();
    db_ = place_->open();
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

INSTANTIATE_TEST_SUITE_P(Both, DatabaseTest, testing::Values(false, true),
                         [](const auto& run) { return run.param ? "Rocks" : "Memory"; });

TEST(Rocks, RefusesColumnsItDoesNotKnow) {
  std::string pattern = testing::TempDir() + "polder-kv-XXXXXX";
  const std::string directory = mkdtemp(pattern.data());
  ASSERT_TRUE((*open_rocks({.directory = directory + "/db"}, kTestColumns))->close().ok());
  const auto refused =
      open_rocks({.directory = directory + "/db"}, std::span(kTestColumns).first(1));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCorrupt);
  std::filesystem::remove_all(directory);
}

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
