#include "homeserver/server/migrations.h"

#include "homeserver/server/schema.h"
#include "storage/keys/value.h"
#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"

namespace polder::server {
namespace {

constexpr size_t kRows = 2500;  // of a column: three batches
constexpr uint64_t kTarget = 6;

// Not the same when done twice.
Migration marking(uint64_t to, std::string_view name, kv::ColumnId column) {
  return {to, name, column,
          [column](const kv::Snapshot&, std::string_view key, std::string_view value,
                   kv::Batch& batch) -> Status {
            batch.put(column, key, std::string(value) + "+");
            return {};
          }};
}

// The rows that each line of the log tells of.
class Lines final : public Log {
 public:
  bool enabled(LogLevel) const override { return true; }
  void write(LogLevel, std::string_view event, std::span<const base::LogField> fields) override {
    std::string line(event);
    for (const base::LogField& field : fields)
      line += " " + field.value;
    lines.push_back(std::move(line));
  }
  std::vector<std::string> lines;
};

class MigrationTest : public testing::Test {
 protected:
  MigrationTest() {
    kv::Batch batch;
    put_schema(batch, {4, "own.example"});
    for (const kv::ColumnId column : {stores::kDirectory, stores::kMedia}) {
      for (size_t i = 0; i < kRows; ++i)
        batch.put(column, "key" + std::to_string(10'000 + i), "v");
    }
    write(batch);
  }

  void write(const kv::Batch& batch) {
    const kv::Batch* one = &batch;
    ASSERT_TRUE(database_->write({&one, 1}, 1, true).ok());
  }
  Status migrate_all() {
    POLDER_TRY(auto schema, read_schema(*database_->snapshot(), kTarget));
    return migrate(*database_, *std::move(schema), migrations_, kTarget, log_);
  }
  void reopen() {
    database_.reset();
    disk_.power_loss();
    disk_.repair();
    database_ = kv::open_memory(stores::kColumns, disk_);
  }
  // How many rows of a column have this value.
  size_t count(kv::ColumnId column, std::string_view value) {
    size_t found = 0;
    const auto snapshot = database_->snapshot();
    const auto rows = snapshot->iterate(column, {});
    for (rows->seek_to_first(); rows->valid(); rows->next())
      found += rows->value() == value ? 1 : 0;
    return found;
  }

  std::vector<Migration> migrations_ = {marking(5, "first", stores::kDirectory),
                                        marking(5, "second", stores::kMedia),
                                        marking(6, "third", stores::kDirectory)};
  Lines log_;
  kv::MemoryDisk disk_;
  std::unique_ptr<kv::Database> database_ = kv::open_memory(stores::kColumns, disk_);
};

TEST_F(MigrationTest, EveryRowIsChangedByEveryMigrationInOrder) {
  const Status done = migrate_all();
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(count(stores::kDirectory, "v++"), kRows);
  EXPECT_EQ(count(stores::kMedia, "v+"), kRows);
  EXPECT_EQ((*read_schema(*database_->snapshot(), kTarget))->number, kTarget);
  EXPECT_EQ((*read_schema(*database_->snapshot(), kTarget))->server_name, "own.example");
  EXPECT_EQ(log_.lines, (std::vector<std::string>{"migrating 5 first 0", "migrated 5 first 2500",
                                                  "migrating 5 second 0", "migrated 5 second 2500",
                                                  "migrating 6 third 0", "migrated 6 third 2500"}));
  EXPECT_TRUE(migrate_all().ok());
  EXPECT_EQ(count(stores::kDirectory, "v++"), kRows);
}

TEST_F(MigrationTest, WhatWasInterruptedAtAnyWriteGoesOnWhereItWas) {
  // Nine batches; in each round the power goes before the first of them that has not been written.
  for (size_t written = 0; written < 9; ++written) {
    disk_.fail_after(written == 0 ? 1 : 2);
    EXPECT_FALSE(migrate_all().ok());
    reopen();
    // A program of before does not open what is half migrated, and this one does.
    EXPECT_EQ(read_schema(*database_->snapshot(), 4).ok(), written == 0) << written;
    EXPECT_TRUE(read_schema(*database_->snapshot(), kTarget).ok()) << written;
  }
  ASSERT_TRUE(migrate_all().ok());
  EXPECT_EQ(count(stores::kDirectory, "v++"), kRows);
  EXPECT_EQ(count(stores::kMedia, "v+"), kRows);
  EXPECT_EQ((*read_schema(*database_->snapshot(), kTarget))->number, kTarget);
  EXPECT_EQ(log_.lines.back(), "migrated 6 third 2500");
}

TEST_F(MigrationTest, WhatGoesOnTellsHowFarItWas) {
  disk_.fail_after(3);
  EXPECT_FALSE(migrate_all().ok());
  reopen();
  log_.lines.clear();
  ASSERT_TRUE(migrate_all().ok());
  EXPECT_EQ(log_.lines.front(), "migrating 5 first 2000");
}

TEST_F(MigrationTest, AnEmptyColumnIsMigratedAtOnce) {
  migrations_ = {marking(5, "empty", stores::kAudit), marking(6, "empty too", stores::kAudit)};
  ASSERT_TRUE(migrate_all().ok());
  EXPECT_EQ((*read_schema(*database_->snapshot(), kTarget))->number, kTarget);
}

TEST_F(MigrationTest, AMigrationThatIsNotKnownIsNotGoneOnWith) {
  disk_.fail_after(2);
  EXPECT_FALSE(migrate_all().ok());
  reopen();
  migrations_.front().name = "another";
  const Status refused = migrate_all();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(refused.error().message.find("'first'"), std::string::npos);
}

TEST_F(MigrationTest, ASchemaThatNothingLeadsOnFromIsRefused) {
  migrations_.erase(migrations_.begin(), migrations_.begin() + 2);
  EXPECT_EQ(migrate_all().error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(count(stores::kDirectory, "v"), kRows);
}

// A newer one may add to its description.
TEST_F(MigrationTest, ANewerSchemaIsRefusedByItsNumber) {
  kv::Batch batch;
  batch.put(stores::kMeta, "schema",
            keys::ValueWriter(1).varint(kTarget + 1).text("own.example").text("more"));
  write(batch);
  const Status refused = migrate_all();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(refused.error().message,
            "the database has schema 7, which is newer than this program's, 6: run the program "
            "that wrote it last, or a newer one");
}

TEST(Migrations, LeadToThisSchemaInOrderAndUnderTheirOwnNames) {
  uint64_t number = 4;  // the first that was released
  std::set<std::string_view> names;
  for (const Migration& migration : all_migrations()) {
    EXPECT_TRUE(migration.to == number || migration.to == number + 1) << migration.name;
    number = migration.to;
    EXPECT_TRUE(names.insert(migration.name).second) << migration.name;
  }
  EXPECT_EQ(number, kSchemaNumber);
}

}  // namespace
}  // namespace polder::server
