// What only RocksDB does: its write log, damage, and what a failing disk leaves of it.
#include "storage/kv/rocks.h"

#include "storage/kv/testing/places.h"

namespace polder::kv {
namespace {

class FixedClock final : public Clock {
 public:
  int64_t wall_ms() const override { return now_ms; }
  std::chrono::nanoseconds steady() const override { return std::chrono::milliseconds(now_ms); }

  int64_t now_ms = base::SystemClock().wall_ms();
};

class RocksTest : public testing::Test {
 protected:
  void open() {
    auto opened = place_.open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    db_ = *std::move(opened);
  }
  void close() {
    ASSERT_TRUE(db_->close().ok());
    db_.reset();
  }
  Status put(std::string_view key, std::string_view value) {
    Batch batch;
    static_cast<void>(batch.reserve_position());
    batch.put(0, key, value);
    const Batch* one = &batch;
    return db_->write({&one, 1}, db_->last_position() + 1, true);
  }
  bool has(std::string_view key) { return db_->snapshot()->get(0, key)->has_value(); }
  ErrorCode code_of_log_from(uint64_t sequence) {
    const Status read = db_->read_log(sequence, [](const LogGroup&) { return true; });
    return read.ok() ? ErrorCode::kInternal : read.error().code;
  }

  // The write log that is being written, or was last.
  std::string log_path() {
    std::string last;
    const auto entries = place_.disk.files().list("/db");
    for (const auto& entry : *entries) {
      if (entry.name.ends_with(".log")) last = std::max(last, entry.name);
    }
    return "/db/" + last;
  }
  void change_log(uint64_t from_end, std::string_view bytes) {
    const uint64_t size = place_.disk.files().info(log_path())->size;
    ASSERT_GE(size, from_end);
    ASSERT_TRUE((*place_.disk.files().open_random(log_path()))->write(size - from_end, bytes).ok());
  }

  FixedClock clock_;
  ForgettingRocksPlace place_{clock_};
  std::unique_ptr<Database> db_;
};

TEST_F(RocksTest, RefusesColumnsItDoesNotKnow) {
  open();
  close();
  const auto refused = open_rocks(place_.options, std::span(kTestColumns).first(1));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCorrupt);
}

// As a later version does that has more of them.
TEST_F(RocksTest, AddsTheColumnsThatAreMissing) {
  auto earlier = open_rocks(place_.options, std::span(kTestColumns).first(1));
  ASSERT_TRUE(earlier.ok()) << earlier.error().message;
  ASSERT_TRUE((*earlier)->close().ok());
  open();
  ASSERT_TRUE(put("key", "value").ok());
  close();
  open();
  EXPECT_EQ(*db_->snapshot()->get(0, "key"), "value");
}

TEST_F(RocksTest, AFolderHasOneDatabaseAtATime) {
  open();
  EXPECT_FALSE(place_.open().ok());
}

TEST_F(RocksTest, TheLogIsKeptUpToItsSize) {
  place_.options.log_keep_bytes = 1 << 20;
  open();
  const std::string value(300'000, 'v');
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(put(std::to_string(i), value).ok());
    ASSERT_TRUE(db_->flush().ok());
  }
  close();
  open();
  ASSERT_TRUE(put("last", value).ok());
  ASSERT_TRUE(db_->flush().ok());
  std::vector<Position> firsts;
  const uint64_t newest = db_->last_sequence();
  EXPECT_EQ(code_of_log_from(0), ErrorCode::kNotFound);
  EXPECT_EQ(code_of_log_from(1), ErrorCode::kNotFound);
  ASSERT_TRUE(db_->read_log(newest,
                            [&](const LogGroup& group) {
                              firsts.push_back(group.first);
                              return true;
                            })
                  .ok());
  EXPECT_LE(firsts, std::vector<Position>{9});
  EXPECT_TRUE(has("0"));
}

TEST_F(RocksTest, TheLogIsKeptUpToItsAge) {
  clock_.now_ms -= int64_t{1000} * 3600 * 24;
  place_.options.log_keep_seconds = 3600 * 12;
  open();
  ASSERT_TRUE(put("old", "1").ok());
  ASSERT_TRUE(db_->flush().ok());
  close();
  clock_.now_ms += int64_t{1000} * 3600 * 24;
  open();
  ASSERT_TRUE(put("new", "2").ok());
  ASSERT_TRUE(db_->flush().ok());
  EXPECT_EQ(code_of_log_from(1), ErrorCode::kNotFound);
  EXPECT_TRUE(has("old"));
}

TEST_F(RocksTest, ATornEndOfTheLogIsCutOff) {
  for (const unsigned kept_percent : {1u, 20u, 50u, 99u}) {
    open();
    ASSERT_TRUE(put("acknowledged", std::string(1000, 'a')).ok());
    Batch batch;
    batch.put(0, "torn", std::string(100'000, 't'));
    const Batch* one = &batch;
    ASSERT_TRUE(db_->write({&one, 1}, db_->last_position() + 1, false).ok());
    place_.disk.cut_power();
    static_cast<void>(db_->close());
    db_.reset();
    place_.disk.power_on(kept_percent);
    open();
    EXPECT_TRUE(has("acknowledged")) << kept_percent;
    EXPECT_FALSE(has("torn")) << kept_percent;
    close();
  }
}

// A default RocksDB would open and have silently lost what was acknowledged after the damage.
TEST_F(RocksTest, DamageBeforeTheEndOfTheLogIsRefused) {
  open();
  ASSERT_TRUE(put("first", std::string(1000, 'a')).ok());
  ASSERT_TRUE(put("second", std::string(1000, 'b')).ok());
  ASSERT_TRUE(put("third", std::string(1000, 'c')).ok());
  close();
  change_log(1500, "#");
  const auto refused = place_.open();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCorrupt);
}

TEST_F(RocksTest, AFailedWriteStopsWritingUntilReopened) {
  // The write of the log fails, then its sync does.
  for (const uint64_t change : {1u, 2u}) {
    open();
    const std::string key = "refused" + std::to_string(change);
    ASSERT_TRUE(put("before" + key, "1").ok());
    const Position last = db_->last_position();
    place_.disk.fail_at(change, 1);
    EXPECT_EQ(put(key, "2").error().code, ErrorCode::kIo);
    EXPECT_TRUE(db_->read_only());
    EXPECT_EQ(put(key, "3").error().code, ErrorCode::kReadOnly);
    EXPECT_EQ(db_->last_position(), last);
    EXPECT_TRUE(has("before" + key));
    // Whether the disk has the group is not known, so going on would be a guess.
    EXPECT_FALSE(db_->resume().ok());
    EXPECT_TRUE(db_->read_only());
    static_cast<void>(db_->close());
    db_.reset();
    open();
    EXPECT_TRUE(has("before" + key));
    EXPECT_EQ(db_->last_position(), has(key) ? last + 1 : last);
    EXPECT_TRUE(put("after" + key, "4").ok());
    close();
  }
}

}  // namespace
}  // namespace polder::kv
