// Where the tests of this module have their databases: every implementation, on every disk.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "storage/files/encrypted.h"
#include "storage/files/forgetting.h"
#include "storage/kv/memory.h"
#include "storage/kv/rocks.h"

namespace polder::kv {

inline constexpr std::array<ColumnSpec, 2> kTestColumns = {
    {{"point", "", Access::kPoint}, {"scan", "", Access::kScan}}};

// Opens the same database again and again; one at a time.
class Place {
 public:
  virtual ~Place() = default;
  virtual Result<std::unique_ptr<Database>> open() = 0;
};

class MemoryPlace final : public Place {
 public:
  Result<std::unique_ptr<Database>> open() override { return open_memory(kTestColumns, disk); }

  MemoryDisk disk;
};

// A folder of the operating system that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() : path_(testing::TempDir() + "polder-kv-XXXXXX") {
    EXPECT_NE(::mkdtemp(path_.data()), nullptr);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class RocksPlace final : public Place {
 public:
  Result<std::unique_ptr<Database>> open() override {
    return open_rocks({.files = *files_, .log = log_, .directory = folder_.path() + "/db"},
                      kTestColumns);
  }

 private:
  TemporaryFolder folder_;
  const std::unique_ptr<files::FileSystem> files_ = files::real_files();
  base::NullLog log_;
};

class ForgettingRocksPlace final : public Place {
 public:
  explicit ForgettingRocksPlace(const Clock& clock) : disk(clock) {}
  Result<std::unique_ptr<Database>> open() override { return open_rocks(options, kTestColumns); }

  files::ForgettingDisk disk;
  base::NullLog log;
  RocksOptions options{.files = disk.files(), .log = log, .directory = "/db"};
};

class EncryptedRocksPlace final : public Place {
 public:
  explicit EncryptedRocksPlace(const Clock& clock) : disk(clock) {}
  Result<std::unique_ptr<Database>> open() override {
    return open_rocks({.files = *encrypted_, .log = log_, .directory = "/db"}, kTestColumns);
  }

  files::ForgettingDisk disk;

 private:
  base::NullLog log_;
  base::SystemRandom random_;
  const files::EncryptionKey key_ = {1, 2, 3};
  const std::unique_ptr<files::FileSystem> encrypted_ =
      files::encrypted_files(disk.files(), {&key_, 1}, random_);
};

}  // namespace polder::kv
