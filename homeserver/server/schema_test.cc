#include "homeserver/server/schema.h"

#include "storage/keys/value.h"
#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"

namespace polder::server {
namespace {

class SchemaTest : public testing::Test {
 protected:
  ErrorCode code_for(std::string_view name) {
    const Status checked = open_schema(*database_, ServerName::trusted(std::string(name)), log_);
    return checked.ok() ? ErrorCode::kInternal : checked.error().code;
  }
  bool accepted(std::string_view name) {
    return open_schema(*database_, ServerName::trusted(std::string(name)), log_).ok();
  }
  void write_row(std::string_view value) {
    kv::Batch batch;
    batch.put(stores::kMeta, "schema", value);
    const kv::Batch* one = &batch;
    ASSERT_TRUE(database_->write({&one, 1}, 1, true).ok());
  }

  base::NullLog log_;
  kv::MemoryDisk disk_;
  std::unique_ptr<kv::Database> database_ = kv::open_memory(stores::kColumns, disk_);
};

TEST_F(SchemaTest, AnEmptyDatabaseBecomesTheServersForGood) {
  EXPECT_TRUE(accepted("own.example"));
  EXPECT_EQ(disk_.unsynced(), 0u);
  database_ = kv::open_memory(stores::kColumns, disk_);
  EXPECT_TRUE(accepted("own.example"));
}

TEST_F(SchemaTest, AnotherServersDatabaseIsRefused) {
  EXPECT_TRUE(accepted("own.example"));
  EXPECT_EQ(code_for("other.example"), ErrorCode::kInvalid);
  EXPECT_EQ(code_for("own.example:8448"), ErrorCode::kInvalid);
  EXPECT_TRUE(accepted("own.example"));
}

TEST_F(SchemaTest, AnUnknownSchemaIsRefusedAndNothingIsChanged) {
  for (const uint64_t number : {kSchemaNumber + 1, kSchemaNumber - 1, uint64_t{1} << 60}) {
    const std::string row = keys::ValueWriter(1).varint(number).text("own.example").str();
    write_row(row);
    EXPECT_EQ(code_for("own.example"), ErrorCode::kUnsupported) << number;
    EXPECT_EQ(**database_->snapshot()->get(stores::kMeta, "schema"), row);
  }
}

TEST_F(SchemaTest, ADamagedDescriptionIsRefused) {
  for (const std::string_view row : {"", "\x02\x01", "\x01", "\x01\x01\x0bshort"}) {
    write_row(row);
    EXPECT_EQ(code_for("own.example"), ErrorCode::kCorrupt);
  }
}

}  // namespace
}  // namespace polder::server
