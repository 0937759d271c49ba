#include "storage/stores/media/media_rows.h"

#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"

namespace polder::stores {
namespace {

class MediaRowsTest : public testing::Test {
 protected:
  void write(const kv::Batch& batch) {
    const kv::Batch* const batches[] = {&batch};
    ASSERT_TRUE(database_->write(batches, 1, true).ok());
  }
  void put(const MxcUri& uri, const MediaRow& row, const std::optional<MediaRow>& before = {}) {
    kv::Batch batch;
    put_media(batch, uri, row, before);
    write(batch);
  }
  void erase(const MxcUri& uri, const MediaRow& row) {
    kv::Batch batch;
    erase_media(batch, uri, row);
    write(batch);
  }
  std::shared_ptr<const kv::Snapshot> snapshot() const { return database_->snapshot(); }
  static MediaRow row(UserNumber uploader, int64_t created_ms, uint8_t digest, uint64_t size) {
    MediaRow row;
    row.uploader = uploader;
    row.created_ms = created_ms;
    row.digest.fill(digest);
    row.size = size;
    row.content_type = "text/plain";
    row.file_name = "a b.txt";
    return row;
  }

  kv::MemoryDisk disk_;
  std::unique_ptr<kv::Database> database_ = kv::open_memory(kColumns, disk_);
  const MxcUri own_ = MxcUri::trusted("mxc://own.example/abc");
  const MxcUri longer_ = MxcUri::trusted("mxc://own.example/abcd");
  const MxcUri other_ = MxcUri::trusted("mxc://other.example:8448/abc");
};

TEST_F(MediaRowsTest, ARowIsReadBack) {
  put(own_, row(7, 5, 1, 100));
  const auto read = read_media(*snapshot(), own_);
  ASSERT_TRUE(read.ok() && *read);
  EXPECT_FALSE((*read)->pending());
  EXPECT_EQ((*read)->uploader, 7u);
  EXPECT_EQ((*read)->created_ms, 5);
  EXPECT_EQ((*read)->digest, row(7, 5, 1, 100).digest);
  EXPECT_EQ((*read)->size, 100u);
  EXPECT_EQ((*read)->content_type, "text/plain");
  EXPECT_EQ((*read)->file_name, "a b.txt");
  EXPECT_FALSE(read_media(*snapshot(), longer_)->has_value());
}

TEST_F(MediaRowsTest, AFileIsReferredToUntilItsLastRowGoes) {
  const MediaRow mine = row(7, 5, 1, 100);
  const MediaRow fetched = row(0, 6, 1, 100);
  put(own_, mine);
  put(other_, fetched);
  EXPECT_TRUE(*is_referenced(*snapshot(), mine.digest));
  EXPECT_FALSE(*is_referenced(*snapshot(), row(7, 5, 2, 1).digest));
  erase(own_, mine);
  EXPECT_TRUE(*is_referenced(*snapshot(), mine.digest));
  erase(other_, fetched);
  EXPECT_FALSE(*is_referenced(*snapshot(), mine.digest));
}

TEST_F(MediaRowsTest, AnIdWaitsForItsContent) {
  MediaRow pending;
  pending.uploader = 7;
  pending.created_ms = 5;
  pending.expires_ms = 50;
  put(own_, pending);
  put(longer_, row(7, 5, 2, 30));
  EXPECT_TRUE((*read_media(*snapshot(), own_))->pending());
  auto media = read_media_of_user(*snapshot(), 7);
  ASSERT_TRUE(media.ok());
  EXPECT_EQ(media->bytes, 30u);
  EXPECT_EQ(media->pending, std::vector<MxcUri>(1, own_));
  put(own_, row(7, 5, 1, 100), pending);
  media = read_media_of_user(*snapshot(), 7);
  EXPECT_EQ(media->bytes, 130u);
  EXPECT_TRUE(media->pending.empty());
  EXPECT_EQ(read_media_of_user(*snapshot(), 8)->bytes, 0u);
}

TEST_F(MediaRowsTest, FetchedMediaAreListedOldestFirst) {
  put(own_, row(7, 1, 1, 1000));
  put(other_, row(0, 300, 2, 20));
  const MxcUri older = MxcUri::trusted("mxc://z.example/x");
  put(older, row(0, 200, 3, 1));
  EXPECT_EQ(*read_oldest_fetched(*snapshot(), 10), (std::vector<MxcUri>{older, other_}));
  EXPECT_EQ(read_oldest_fetched(*snapshot(), 1)->size(), 1u);
  EXPECT_EQ(*read_fetched_bytes(*snapshot()), 21u);
}

TEST_F(MediaRowsTest, DamageIsNoticed) {
  kv::Batch batch;
  batch.put(kMedia, std::string("\x01\x00\x0bown.exampleabc", 17), std::string("\x01\x07", 2));
  write(batch);
  EXPECT_EQ(read_media(*snapshot(), own_).error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace polder::stores
