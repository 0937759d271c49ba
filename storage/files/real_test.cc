#include <filesystem>

#include <sys/stat.h>

#include "storage/files/files.h"

namespace polder::files {
namespace {

class RealFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "polder_files_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  std::string at(const std::string& name) const { return root_ + "/" + name; }
  static mode_t mode(const std::string& path) {
    struct stat about{};
    EXPECT_EQ(::stat(path.c_str(), &about), 0);
    return about.st_mode & 0777;
  }

  std::string root_;
  std::unique_ptr<FileSystem> files_ = real_files();
};

TEST_F(RealFilesTest, AppendsGoToTheEnd) {
  ASSERT_TRUE(files_->write_atomically(at("a"), "one").ok());
  auto file = files_->open_for_write(at("a"), OpenMode::kAppend);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ((*file)->size(), 3u);
  ASSERT_TRUE((*file)->append("two").ok());
  ASSERT_TRUE((*file)->truncate(5).ok());
  ASSERT_TRUE((*file)->append("!").ok());
  ASSERT_TRUE((*file)->sync().ok());
  ASSERT_TRUE((*file)->close().ok());
  EXPECT_EQ(files_->read_all(at("a"), 100).value_or(""), "onetw!");
}

TEST_F(RealFilesTest, ReadsEndWithTheFile) {
  ASSERT_TRUE(files_->write_atomically(at("a"), "abcdef").ok());
  auto file = files_->open_for_read(at("a"));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ((*file)->read(4, 10).value_or("?"), "ef");
  EXPECT_EQ((*file)->read(9, 10).value_or("?"), "");
}

TEST_F(RealFilesTest, WritesAtAnyOffset) {
  auto file = files_->open_random(at("a"));
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->write(2, "cd").ok());
  ASSERT_TRUE((*file)->write(0, "ab").ok());
  EXPECT_EQ((*file)->read(0, 9).value_or("?"), "abcd");
}

TEST_F(RealFilesTest, OnlyTheOwnerMayReadWhatIsCreated) {
  ASSERT_TRUE(files_->create_directories(at("d/e")).ok());
  ASSERT_TRUE(files_->write_atomically(at("d/e/f"), "secret").ok());
  EXPECT_EQ(mode(at("d")) & 077u, 0u);
  EXPECT_EQ(mode(at("d/e/f")) & 077u, 0u);
}

TEST_F(RealFilesTest, WritingAtomicallyReplacesAndLeavesNothingBeside) {
  ASSERT_TRUE(files_->write_atomically(at("a"), "old and long").ok());
  ASSERT_TRUE(files_->write_atomically(at("a"), "new").ok());
  EXPECT_EQ(files_->read_all(at("a"), 100).value_or(""), "new");
  auto entries = files_->list(root_);
  ASSERT_TRUE(entries.ok());
  EXPECT_EQ(entries->size(), 1u);
}

TEST_F(RealFilesTest, FailuresSayWhatKind) {
  ASSERT_TRUE(files_->write_atomically(at("a"), "four").ok());
  EXPECT_EQ(files_->read_all(at("a"), 3).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(files_->read_all(at("none"), 3).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(files_->remove_file(at("none")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(files_->link(at("a"), at("a")).error().code, ErrorCode::kExists);
  EXPECT_EQ(files_->create_directories(at("a")).error().code, ErrorCode::kExists);
}

TEST_F(RealFilesTest, ALockHasOneHolderInThisProcessToo) {
  auto first = files_->lock(at("LOCK"));
  ASSERT_TRUE(first.ok());
  auto second = files_->lock(at("LOCK"));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kExists);
  *first = nullptr;
  EXPECT_TRUE(files_->lock(at("LOCK")).ok());
}

}  // namespace
}  // namespace polder::files
