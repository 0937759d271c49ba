// One suite for all file systems; then what only one of them does.
#include "storage/files/files.h"

#include <filesystem>

#include <sys/stat.h>
#include <unistd.h>

#include "storage/files/encrypted.h"
#include "storage/files/forgetting.h"

namespace polder::files {
namespace {

constexpr EncryptionKey kKey = {1, 2, 3};
constexpr EncryptionKey kOtherKey = {4, 5, 6};

enum class Kind : uint8_t { kReal, kForgetting, kEncryptedReal, kEncryptedForgetting };

// A folder of the operating system that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() : path_(testing::TempDir() + "polder-files-XXXXXX") {
    EXPECT_NE(::mkdtemp(path_.data()), nullptr);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class FilesTest : public testing::TestWithParam<Kind> {
 protected:
  FilesTest() {
    const bool real = GetParam() == Kind::kReal || GetParam() == Kind::kEncryptedReal;
    root_ = real ? folder_.path() : "";
    files_ = real ? real_.get() : &disk_.files();
    if (GetParam() == Kind::kEncryptedReal || GetParam() == Kind::kEncryptedForgetting) {
      encrypted_ = encrypted_files(*files_, {&kKey, 1}, random_);
      files_ = encrypted_.get();
    }
  }
  std::string at(const std::string& name) const { return root_ + "/" + name; }
  std::string content(const std::string& name) {
    return files_->read_all(at(name), 100'000).value_or("(none)");
  }

  TemporaryFolder folder_;
  base::SystemClock clock_;
  base::SystemRandom random_;
  const std::unique_ptr<FileSystem> real_ = real_files();
  ForgettingDisk disk_{clock_};
  std::unique_ptr<FileSystem> encrypted_;
  FileSystem* files_ = nullptr;
  std::string root_;
};

TEST_P(FilesTest, AppendsGoToTheEnd) {
  ASSERT_TRUE(files_->write_atomically(at("a"), "one").ok());
  auto file = files_->open_for_write(at("a"), OpenMode::kAppend);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ((*file)->size(), 3u);
  ASSERT_TRUE((*file)->append("two").ok());
  ASSERT_TRUE((*file)->truncate(5).ok());
  ASSERT_TRUE((*file)->append("!").ok());
  EXPECT_EQ((*file)->size(), 6u);
  ASSERT_TRUE((*file)->sync().ok());
  ASSERT_TRUE((*file)->close().ok());
  EXPECT_EQ(content("a"), "onetw!");
  EXPECT_EQ(files_->info(at("a"))->size, 6u);
}

TEST_P(FilesTest, OpeningToTruncateEmpties) {
  ASSERT_TRUE(files_->write_atomically(at("a"), "old").ok());
  ASSERT_TRUE(files_->open_for_write(at("a"), OpenMode::kTruncate).ok());
  EXPECT_EQ(content("a"), "");
  EXPECT_EQ(files_->info(at("a"))->size, 0u);
}

TEST_P(FilesTest, ReadsEndWithTheFile) {
  ASSERT_TRUE(files_->write_atomically(at("a"), "abcdef").ok());
  auto file = files_->open_for_read(at("a"));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ((*file)->size().value_or(0), 6u);
  EXPECT_EQ((*file)->read(4, 10).value_or("?"), "ef");
  EXPECT_EQ((*file)->read(9, 10).value_or("?"), "");
}

TEST_P(FilesTest, AnyPartOfALongFileIsRead) {
  std::string data;
  for (int i = 0; data.size() < 20'000; ++i)
    data += std::to_string(i) + ",";
  auto file = files_->open_for_write(at("a"), OpenMode::kTruncate);
  ASSERT_TRUE(file.ok());
  for (size_t from = 0, size = 1; from < data.size(); from += size, size = size * 3 % 1009)
    ASSERT_TRUE((*file)->append(std::string_view(data).substr(from, size)).ok());
  const auto reader = files_->open_for_read(at("a"));
  ASSERT_TRUE(reader.ok());
  for (const size_t offset : {0u, 1u, 15u, 16u, 17u, 4095u, 4096u, 19'999u})
    for (const size_t size : {1u, 15u, 16u, 33u, 5000u})
      EXPECT_EQ((*reader)->read(offset, size).value_or("?"), data.substr(offset, size));
}

TEST_P(FilesTest, WritesAtAnyOffset) {
  auto file = files_->open_random(at("a"));
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->write(2, "cd").ok());
  ASSERT_TRUE((*file)->write(0, "ab").ok());
  EXPECT_EQ((*file)->read(0, 9).value_or("?"), "abcd");
  file = files_->open_random(at("a"));
  ASSERT_TRUE((*file)->write(1, "XY").ok());
  ASSERT_TRUE((*file)->sync().ok());
  EXPECT_EQ(content("a"), "aXYd");
}

TEST_P(FilesTest, WritingAtomicallyReplacesAndLeavesNothingBeside) {
  ASSERT_TRUE(files_->create_directories(at("d")).ok());
  ASSERT_TRUE(files_->write_atomically(at("d/a"), "old and long").ok());
  ASSERT_TRUE(files_->write_atomically(at("d/a"), "new").ok());
  EXPECT_EQ(content("d/a"), "new");
  auto entries = files_->list(at("d"));
  ASSERT_TRUE(entries.ok());
  EXPECT_EQ(entries->size(), 1u);
}

TEST_P(FilesTest, NamesAreMovedLinkedAndRemoved) {
  ASSERT_TRUE(files_->create_directories(at("d/e")).ok());
  ASSERT_TRUE(files_->create_directories(at("d/e")).ok());
  ASSERT_TRUE(files_->write_atomically(at("d/a"), "1").ok());
  ASSERT_TRUE(files_->link(at("d/a"), at("d/e/b")).ok());
  ASSERT_TRUE(files_->rename(at("d/a"), at("d/c")).ok());
  EXPECT_EQ(content("d/e/b"), "1");
  EXPECT_EQ(content("d/c"), "1");
  EXPECT_TRUE(files_->info(at("d/e"))->is_directory);
  EXPECT_FALSE(files_->remove_directory(at("d/e")).ok());
  ASSERT_TRUE(files_->remove_file(at("d/e/b")).ok());
  ASSERT_TRUE(files_->remove_directory(at("d/e")).ok());
  const auto left = files_->list(at("d"));
  ASSERT_EQ(left->size(), 1u);
  EXPECT_EQ(left->front().name, "c");
}

TEST_P(FilesTest, FailuresSayWhatKind) {
  ASSERT_TRUE(files_->write_atomically(at("a"), "four").ok());
  EXPECT_EQ(files_->read_all(at("a"), 3).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(files_->read_all(at("none"), 3).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(files_->remove_file(at("none")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(files_->rename(at("none"), at("b")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(files_->list(at("none")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(files_->link(at("a"), at("a")).error().code, ErrorCode::kExists);
  EXPECT_EQ(files_->create_directories(at("a")).error().code, ErrorCode::kExists);
}

TEST_P(FilesTest, ALockHasOneHolderInThisProcessToo) {
  auto first = files_->lock(at("LOCK"));
  ASSERT_TRUE(first.ok());
  auto second = files_->lock(at("LOCK"));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kExists);
  *first = nullptr;
  EXPECT_TRUE(files_->lock(at("LOCK")).ok());
}

std::string name_of(const testing::TestParamInfo<Kind>& run) {
  constexpr std::array kNames = {"Real", "Forgetting", "EncryptedReal", "EncryptedForgetting"};
  return kNames.at(static_cast<size_t>(run.param));
}

INSTANTIATE_TEST_SUITE_P(All, FilesTest,
                         testing::Values(Kind::kReal, Kind::kForgetting, Kind::kEncryptedReal,
                                         Kind::kEncryptedForgetting),
                         name_of);

TEST(RealFiles, OnlyTheOwnerMayReadWhatIsCreated) {
  const TemporaryFolder folder;
  const auto files = real_files();
  ASSERT_TRUE(files->create_directories(folder.path() + "/d/e").ok());
  ASSERT_TRUE(files->write_atomically(folder.path() + "/d/e/f", "secret").ok());
  for (const char* name : {"/d", "/d/e", "/d/e/f"}) {
    struct stat about{};
    ASSERT_EQ(::stat((folder.path() + name).c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 077u, 0u) << name;
  }
}

// Files on a disk that forgets.
class ForgettingDiskTest : public testing::Test {
 protected:
  void write(const std::string& path, std::string_view data, bool sync) {
    auto file = files_.open_for_write(path, OpenMode::kAppend);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->append(data).ok());
    if (sync) ASSERT_TRUE((*file)->sync().ok());
  }
  void lose_power(unsigned kept_percent = 0) {
    disk_.cut_power();
    disk_.power_on(kept_percent);
  }
  std::string content(const std::string& path) {
    return files_.read_all(path, 1000).value_or("(none)");
  }

  base::SystemClock clock_;
  ForgettingDisk disk_{clock_};
  FileSystem& files_ = disk_.files();
};

TEST_F(ForgettingDiskTest, BytesThatWereNotSyncedAreForgotten) {
  write("/a", "kept", true);
  ASSERT_TRUE(files_.sync_directory("/").ok());
  write("/a", " and lost", false);
  EXPECT_EQ(content("/a"), "kept and lost");
  lose_power();
  EXPECT_EQ(content("/a"), "kept");
  write("/a", "-then-", true);
  lose_power();
  EXPECT_EQ(content("/a"), "kept-then-");
}

TEST_F(ForgettingDiskTest, ATornWriteLeavesAPart) {
  write("/a", "kept", true);
  ASSERT_TRUE(files_.sync_directory("/").ok());
  write("/a", "0123456789", false);
  lose_power(30);
  EXPECT_EQ(content("/a"), "kept012");
  lose_power();
  EXPECT_EQ(content("/a"), "kept012");
}

TEST_F(ForgettingDiskTest, OverwritesAndTruncationsAreForgotten) {
  write("/a", "abcdef", true);
  ASSERT_TRUE(files_.sync_directory("/").ok());
  ASSERT_TRUE((*files_.open_random("/a"))->write(2, "XY").ok());
  EXPECT_EQ(content("/a"), "abXYef");
  lose_power(50);
  EXPECT_EQ(content("/a"), "abcdef");
  ASSERT_TRUE((*files_.open_for_write("/a", OpenMode::kAppend))->truncate(1).ok());
  write("/a", "Z", false);
  lose_power();
  EXPECT_EQ(content("/a"), "abcdef");
}

TEST_F(ForgettingDiskTest, NamesThatWereNotSyncedAreForgotten) {
  write("/a", "synced, and yet its name is not", true);
  lose_power();
  EXPECT_EQ(content("/a"), "(none)");
  write("/a", "1", true);
  ASSERT_TRUE(files_.sync_directory("/").ok());
  ASSERT_TRUE(files_.rename("/a", "/b").ok());
  lose_power();
  EXPECT_EQ(content("/a"), "1");
  EXPECT_EQ(content("/b"), "(none)");
  ASSERT_TRUE(files_.remove_file("/a").ok());
  lose_power();
  EXPECT_EQ(content("/a"), "1");
  ASSERT_TRUE(files_.remove_file("/a").ok());
  ASSERT_TRUE(files_.sync_directory("/").ok());
  lose_power();
  EXPECT_EQ(content("/a"), "(none)");
}

TEST_F(ForgettingDiskTest, WhatIsWrittenAtomicallyIsOldOrNewWheneverThePowerGoes) {
  for (uint64_t change = 1;; ++change) {
    ASSERT_TRUE(files_.write_atomically("/a", "old").ok());
    disk_.cut_power_at(change);
    const bool acknowledged = files_.write_atomically("/a", "new").ok();
    if (disk_.powered()) break;
    EXPECT_FALSE(acknowledged);
    disk_.power_on(50);
    EXPECT_EQ(content("/a"), "old") << change;
  }
  lose_power();
  EXPECT_EQ(content("/a"), "new");
}

TEST_F(ForgettingDiskTest, DirectoriesThatWereMadeStay) {
  ASSERT_TRUE(files_.create_directories("/d/e").ok());
  lose_power();
  EXPECT_TRUE(files_.info("/d/e").ok());
}

TEST_F(ForgettingDiskTest, WithoutPowerNothingChangesAndOldFilesStayDead) {
  auto file = files_.open_for_write("/a", OpenMode::kTruncate);
  const auto lock = files_.lock("/LOCK");
  ASSERT_TRUE(file.ok() && lock.ok());
  disk_.cut_power();
  EXPECT_EQ((*file)->append("x").error().code, ErrorCode::kIo);
  EXPECT_EQ(files_.sync_directory("/").error().code, ErrorCode::kIo);
  EXPECT_EQ(files_.open_for_write("/b", OpenMode::kAppend).error().code, ErrorCode::kIo);
  EXPECT_EQ(files_.list("/")->size(), 2u);
  const auto reader = files_.open_for_read("/a");
  EXPECT_TRUE((*reader)->size().ok());
  disk_.power_on();
  EXPECT_EQ((*reader)->size().error().code, ErrorCode::kIo);
  EXPECT_EQ((*file)->sync().error().code, ErrorCode::kIo);
  EXPECT_TRUE(files_.lock("/LOCK").ok());
}

TEST_F(ForgettingDiskTest, ItFailsForAWhile) {
  write("/a", "one", false);
  disk_.fail_at(2, 2);
  auto file = files_.open_for_write("/a", OpenMode::kAppend);
  EXPECT_TRUE((*file)->append("two").ok());
  EXPECT_EQ((*file)->append("three").error().code, ErrorCode::kIo);
  EXPECT_EQ((*file)->sync().error().code, ErrorCode::kIo);
  EXPECT_TRUE((*file)->append("four").ok());
  EXPECT_EQ(content("/a"), "onetwofour");
}

TEST_F(ForgettingDiskTest, ItIsFullUntilThereIsSpaceAgain) {
  disk_.set_capacity(10);
  write("/a", "0123456", false);
  EXPECT_EQ(files_.free_bytes("/").value_or(0), 3u);
  auto file = files_.open_for_write("/b", OpenMode::kTruncate);
  EXPECT_TRUE((*file)->append("789").ok());
  EXPECT_EQ((*file)->append("x").error().code, ErrorCode::kIo);
  EXPECT_EQ(content("/b"), "789");
  ASSERT_TRUE(files_.remove_file("/a").ok());
  EXPECT_TRUE((*file)->append("x").ok());
}

class EncryptedFilesTest : public ForgettingDiskTest {
 protected:
  std::unique_ptr<FileSystem> encrypted(std::vector<EncryptionKey> keys) {
    return encrypted_files(files_, keys, random_);
  }
  base::SystemRandom random_;
};

TEST_F(EncryptedFilesTest, NothingOfTheContentIsOnTheDisk) {
  const auto files = encrypted({kKey});
  const std::string secret(64, 's');
  ASSERT_TRUE(files->write_atomically("/a", secret).ok());
  ASSERT_TRUE(files->write_atomically("/b", secret).ok());
  const std::string a = content("/a");
  EXPECT_EQ(a.size(), 32 + secret.size());
  EXPECT_EQ(a.find("ss"), std::string::npos);
  // Each file has a key stream of its own.
  EXPECT_NE(a.substr(32), content("/b").substr(32));
}

// The key stream is AES-256 of the counter (NIST SP 800-38A, F.5.5): with its key and its first
// counter as nonce, its plaintext becomes its ciphertext.
TEST_F(EncryptedFilesTest, EncryptsAsThePublishedVectorDoes) {
  const auto bytes = [](std::string_view hex) {
    std::string out;
    for (size_t i = 0; i < hex.size(); i += 2)
      out.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
    return out;
  };
  EncryptionKey key{};
  const std::string raw = bytes("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
  std::ranges::copy(raw, key.begin());
  ASSERT_TRUE(encrypted({key})->write_atomically("/a", "").ok());
  // Its prefix with the vector's nonce in place of the random one, then the vector's ciphertext.
  const std::string stored = content("/a").substr(0, 16) + bytes(
                                                               "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
                                                               "601ec313775789a5b7a7f504bbf3d228"
                                                               "f443e3ca4d62b59aca84e990cacaf5c5"
                                                               "2b0930daa23de94ce87017ba2d84988d"
                                                               "dfc9c58db67aada613c2dd08457941a6");
  ASSERT_TRUE(files_.write_atomically("/a", stored).ok());
  EXPECT_EQ(encrypted({key})->read_all("/a", 100).value_or(""),
            bytes("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
                  "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"));
}

TEST_F(EncryptedFilesTest, KeysAreChangedByPuttingANewOneFirst) {
  ASSERT_TRUE(encrypted({kKey})->write_atomically("/old", "old").ok());
  const auto both = encrypted({kOtherKey, kKey});
  ASSERT_TRUE(both->write_atomically("/new", "new").ok());
  EXPECT_EQ(both->read_all("/old", 10).value_or(""), "old");
  EXPECT_EQ(encrypted({kOtherKey})->read_all("/new", 10).value_or(""), "new");
  EXPECT_EQ(encrypted({kKey})->read_all("/new", 10).error().code, ErrorCode::kUnsupported);
}

TEST_F(EncryptedFilesTest, AFileThatIsNotEncryptedIsRefused) {
  ASSERT_TRUE(files_.write_atomically("/a", std::string(100, 'x')).ok());
  const auto files = encrypted({kKey});
  EXPECT_EQ(files->open_for_read("/a").error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(files->open_random("/a").error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(files->open_for_write("/a", OpenMode::kAppend).error().code, ErrorCode::kCorrupt);
}

TEST_F(EncryptedFilesTest, AFileWhosePrefixWasNotSyncedIsEmpty) {
  const auto files = encrypted({kKey});
  ASSERT_TRUE((*files->open_for_write("/a", OpenMode::kTruncate))->append("lost").ok());
  ASSERT_TRUE(files_.sync_directory("/").ok());
  lose_power(10);
  EXPECT_EQ(files->read_all("/a", 10).value_or("(none)"), "");
  EXPECT_EQ(files->info("/a")->size, 0u);
  ASSERT_TRUE((*files->open_for_write("/a", OpenMode::kAppend))->append("anew").ok());
  EXPECT_EQ(files->read_all("/a", 10).value_or("(none)"), "anew");
}

// Whoever is at the other end of a pipe may never come.
TEST(RealFiles, OnlyRegularFilesAreOpened) {
  const TemporaryFolder folder;
  const std::string pipe = folder.path() + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const auto files = real_files();
  EXPECT_EQ(files->open_for_read(pipe).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(files->read_all(pipe, 100).error().code, ErrorCode::kInvalid);
  EXPECT_FALSE(files->open_for_write(pipe, OpenMode::kAppend).ok());
  EXPECT_EQ(files->open_random(pipe).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(files->lock(pipe).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(files->open_for_read("/dev/zero").error().code, ErrorCode::kInvalid);
  EXPECT_EQ(files->open_for_read(folder.path()).error().code, ErrorCode::kInvalid);
  ASSERT_EQ(::symlink("real", (folder.path() + "/link").c_str()), 0);
  ASSERT_TRUE(files->write_atomically(folder.path() + "/real", "text").ok());
  EXPECT_EQ(files->read_all(folder.path() + "/link", 100).value_or(""), "text");
}

}  // namespace
}  // namespace polder::files
