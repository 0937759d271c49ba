// Backups on a disk that loses power, of a database that is being written to.
#include "storage/backup/backup.h"

#include <atomic>
#include <thread>

#include "homeserver/base/crypto/hash.h"
#include "storage/files/forgetting.h"
#include "storage/kv/rocks.h"

namespace polder::backup {
namespace {

constexpr std::array<kv::ColumnSpec, 2> kColumns = {
    {{"point", "", kv::Access::kPoint}, {"scan", "", kv::Access::kScan}}};

std::string key_of(uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(10 - digits.size(), '0') + digits;
}

class BackupTest : public testing::Test {
 protected:
  BackupTest() {
    EXPECT_TRUE(files().create_directories("/data/media/new").ok());
    EXPECT_TRUE(files().write_atomically("/data/signing.key", "ed25519 a secret").ok());
  }

  files::FileSystem& files() { return disk_.files(); }
  Locations locations(std::string data = "/data") {
    return {files(), log_, kColumns, std::move(data), "/backup"};
  }
  std::unique_ptr<kv::Database> open(const std::string& data = "/data") {
    auto database =
        kv::open_rocks({.files = files(), .log = log_, .directory = data + "/database"}, kColumns);
    EXPECT_TRUE(database.ok()) << database.error().message;
    return std::move(*database);
  }
  // Two rows that must come and go together.
  Status put(kv::Database& database, uint64_t number) {
    kv::Batch batch;
    const auto slot = batch.reserve_position();
    static_cast<void>(slot);
    batch.put(0, key_of(number), std::string(200, 'x'));
    batch.put(1, key_of(number), "y");
    const kv::Batch* one = &batch;
    return database.write({&one, 1}, database.last_position() + 1, true);
  }
  // How many rows there are, which must be the first ones, in both columns.
  uint64_t rows(const kv::Database& database) {
    const auto snapshot = database.snapshot();
    std::array<uint64_t, 2> counts{};
    for (size_t column = 0; column < counts.size(); ++column) {
      const auto walk = snapshot->iterate(static_cast<kv::ColumnId>(column), {"0", ":"});
      for (walk->seek_to_first(); walk->valid(); walk->next())
        EXPECT_EQ(key_of(counts[column]++), walk->key());
      EXPECT_TRUE(walk->status().ok());
    }
    EXPECT_EQ(counts[0], counts[1]);
    return counts[0];
  }
  Result<Report> back_up(size_t keep = 3) {
    return backup::back_up(locations(), {"own", "server_name = \"own\"", 1'700'000'000'000, keep});
  }
  std::string add_media(const std::string& content) {
    const std::string name = base::hex_encode(crypto::sha256(content));
    const std::string folder = "/data/media/" + name.substr(0, 2);
    EXPECT_TRUE(files().create_directories(folder).ok());
    EXPECT_TRUE(files().write_atomically(folder + "/" + name.substr(2), content).ok());
    return "/media/" + name.substr(0, 2) + "/" + name.substr(2);
  }
  void damage(const std::string& path, const std::string& content) {
    ASSERT_TRUE(files().write_atomically(path, content).ok());
  }
  std::string object(const std::string& content) {
    const std::string name = base::hex_encode(crypto::sha256(content));
    return "/backup/objects/" + name.substr(0, 2) + "/" + name.substr(2);
  }

  base::SystemClock clock_;
  base::NullLog log_;
  files::ForgettingDisk disk_{clock_};
};

TEST_F(BackupTest, EverythingComesBack) {
  const std::string picture = add_media("a picture");
  {
    const auto database = open();
    for (uint64_t i = 0; i < 10; ++i)
      ASSERT_TRUE(put(*database, i).ok());
    const auto made = back_up();
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(made->number, 1u);
    EXPECT_EQ(made->bytes, made->bytes_copied);
    ASSERT_TRUE(put(*database, 10).ok());
  }
  const auto restored = restore(locations("/other"), 0);
  ASSERT_TRUE(restored.ok()) << restored.error().message;
  EXPECT_EQ(restored->server_name, "own");
  EXPECT_EQ(restored->made_ms, 1'700'000'000'000);
  EXPECT_EQ(*files().read_all("/other/signing.key", 100), "ed25519 a secret");
  EXPECT_EQ(*files().read_all("/other/polder.toml", 100), "server_name = \"own\"");
  EXPECT_EQ(*files().read_all("/other" + picture, 100), "a picture");
  disk_.power_on();  // all of it is durable
  const auto database = open("/other");
  EXPECT_EQ(rows(*database), 10u);
  EXPECT_EQ(*files().read_all("/other/signing.key", 100), "ed25519 a secret");
  EXPECT_TRUE(check_restored(files(), "/other").ok());
}

// A client that was told of position 11 must not take what is new for what it knows.
TEST_F(BackupTest, PositionsOfWhatWasLostAreNotGivenAgain) {
  kv::Position last = 0;
  {
    const auto database = open();
    ASSERT_TRUE(put(*database, 0).ok());
    ASSERT_TRUE(back_up().ok());
    ASSERT_TRUE(put(*database, 1).ok());
    last = database->last_position();
  }
  ASSERT_TRUE(restore(locations("/other"), 0).ok());
  EXPECT_GT(open("/other")->last_position(), last + 1'000'000);
}

TEST_F(BackupTest, UnderLoadItHoldsWhatWasAcknowledgedBefore) {
  const auto database = open();
  std::atomic<uint64_t> acknowledged = 0;
  const std::jthread writer([&](const std::stop_token& stop) {
    for (uint64_t i = 0; !stop.stop_requested(); ++i) {
      ASSERT_TRUE(put(*database, i).ok());
      acknowledged = i + 1;
      if (i % 100 == 0) ASSERT_TRUE(database->flush().ok());
      if (i % 1000 == 0) ASSERT_TRUE(database->compact().ok());
    }
  });
  for (int round = 0; round < 20; ++round) {
    const uint64_t before = acknowledged;
    const auto made = back_up();
    ASSERT_TRUE(made.ok()) << made.error().message;
    const std::string target = "/restored" + std::to_string(round);
    const auto restored = restore(locations(target), 0);
    ASSERT_TRUE(restored.ok()) << restored.error().message;
    EXPECT_GE(rows(*open(target)), before);
  }
}

TEST_F(BackupTest, OnlyWhatIsNewIsCopied) {
  const auto database = open();
  for (uint64_t i = 0; i < 1000; ++i)
    ASSERT_TRUE(put(*database, i).ok());
  ASSERT_TRUE(database->flush().ok());
  add_media(std::string(100'000, 'm'));
  ASSERT_TRUE(back_up().ok());
  add_media(std::string(1000, 'n'));
  const auto second = back_up();
  ASSERT_TRUE(second.ok());
  EXPECT_GE(second->bytes_copied, 1000u);
  EXPECT_LT(second->bytes_copied, 10'000u);
  EXPECT_GT(second->bytes, 100'000u);
}

TEST_F(BackupTest, AsManyStayAsAskedForAndNothingElse) {
  const auto database = open();
  const std::string old = add_media("old");
  ASSERT_TRUE(back_up(2).ok());
  ASSERT_TRUE(files().remove_file("/data" + old).ok());
  ASSERT_TRUE(put(*database, 0).ok());
  ASSERT_TRUE(back_up(2).ok());
  EXPECT_TRUE(verify(locations(), 1).ok());
  EXPECT_TRUE(files().info(object("old")).ok());
  ASSERT_TRUE(back_up(2).ok());
  EXPECT_FALSE(verify(locations(), 1).ok());
  EXPECT_TRUE(verify(locations(), 2).ok());
  EXPECT_TRUE(verify(locations(), 3).ok());
  EXPECT_FALSE(files().info(object("old")).ok());
}

TEST_F(BackupTest, PowerLossAtAnyWriteLeavesTheBackupBefore) {
  uint64_t rows_before = 0;
  for (uint64_t cut = 1;; cut += 7) {
    auto database = open();
    ASSERT_TRUE(put(*database, rows_before++).ok());
    add_media("of round " + std::to_string(cut));
    ASSERT_TRUE(back_up().ok());
    ASSERT_TRUE(put(*database, rows_before).ok());
    disk_.cut_power_at(cut);
    const bool cut_short = !back_up().ok();
    static_cast<void>(database->close());
    database.reset();
    disk_.power_on(static_cast<unsigned>(cut % 100));
    ++rows_before;
    const auto good = verify(locations(), 0);
    ASSERT_TRUE(good.ok()) << good.error().message;
    const std::string target = "/restored" + std::to_string(cut);
    ASSERT_TRUE(restore(locations(target), 0).ok());
    EXPECT_GE(rows(*open(target)), rows_before - 1);
    if (!cut_short) break;
  }
}

TEST_F(BackupTest, ADamagedTableIsNotBackedUp) {
  {
    const auto database = open();
    ASSERT_TRUE(put(*database, 0).ok());
    ASSERT_TRUE(database->flush().ok());
  }
  std::string table;
  const auto entries = files().list("/data/database");
  for (const auto& entry : *entries) {
    if (entry.name.ends_with(".sst")) table = "/data/database/" + entry.name;
  }
  const std::string good = *files().read_all(table, 1 << 20);
  std::string bad = good;
  bad[5] ^= 1;
  damage(table, bad);
  const auto refused = back_up();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(refused.error().message.find(table.substr(table.rfind('/') + 1)), std::string::npos)
      << refused.error().message;
  damage(table, good);
  EXPECT_TRUE(back_up().ok());
}

TEST_F(BackupTest, DamagedMediaAreNamedAndLeftOut) {
  open();
  const std::string name = add_media("a picture");
  damage("/data" + name, "a pictura");
  const auto made = back_up();
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->damaged, std::vector<std::string>{name.substr(1)});
  EXPECT_TRUE(verify(locations(), 0).ok());
  EXPECT_FALSE(files().info(object("a pictura")).ok());
}

TEST_F(BackupTest, ADamagedBackupIsRefusedAndLeavesNothingThatStarts) {
  open();
  add_media("a picture");
  ASSERT_TRUE(back_up().ok());
  damage(object("a picture"), "a pictura");
  EXPECT_EQ(verify(locations(), 0).error().code, ErrorCode::kCorrupt);
  const auto refused = restore(locations("/other"), 0);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find(object("a picture")), std::string::npos);
  EXPECT_FALSE(check_restored(files(), "/other").ok());
  EXPECT_EQ(restore(locations("/other"), 0).error().code, ErrorCode::kExists);
  // The list.
  std::string list = *files().read_all("/backup/backup-000001", 1 << 20);
  list[list.size() / 2] ^= 1;
  damage("/backup/backup-000001", list);
  EXPECT_EQ(restore(locations("/third"), 0).error().code, ErrorCode::kCorrupt);
}

TEST_F(BackupTest, ADirectoryThatIsNotEmptyIsLeftAlone) {
  open();
  ASSERT_TRUE(back_up().ok());
  EXPECT_EQ(restore(locations("/data"), 0).error().code, ErrorCode::kExists);
  EXPECT_TRUE(check_restored(files(), "/data").ok());
}

TEST_F(BackupTest, WhatIsNotThereIsSaid) {
  EXPECT_EQ(back_up().error().code, ErrorCode::kNotFound);  // no database
  EXPECT_EQ(restore(locations("/other"), 0).error().code, ErrorCode::kNotFound);
  open();
  ASSERT_TRUE(back_up().ok());
  EXPECT_EQ(restore(locations("/other"), 2).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace polder::backup
