#include "storage/feed/page.h"

#include "storage/feed/testing/log.h"

namespace polder::feed {
namespace {

// Positions and the rests of keys, "1 3a 3b".
std::string text_of(const Page& page) {
  std::string text;
  for (const Entry& entry : page.entries) {
    if (!text.empty()) text += " ";
    text += std::to_string(entry.position) + entry.key_rest;
  }
  return text;
}

class PageTest : public LogTest {
 protected:
  // Several rows of one position.
  void commit_together(Stream stream, const std::vector<std::string>& rests) {
    kv::Batch batch;
    const auto slot = batch.reserve_position();
    for (const std::string& rest : rests) {
      keys::put(batch, stores::kStreams,
                keys::KeyWriter(static_cast<uint8_t>(stream)).position(slot).tail(rest),
                keys::ValueWriter(1).tail(rest));
    }
    ASSERT_TRUE(wait(committer_->commit(std::move(batch))).ok());
  }
  Page read(const Streams& streams, kv::Position from, kv::Position to, size_t entries_max) {
    return *read_page(*database_->snapshot(), streams, from, to, entries_max);
  }
};

TEST_F(PageTest, StreamsAreReadInTheOrderOfPositions) {
  commit(Stream::kEvents);       // 1
  commit(Stream::kDeviceLists);  // 2
  commit(Stream::kEvents, 2);    // 3, 4
  commit_together(Stream::kRoomEntries, {"b", "a"});
  const Page both = read({Stream::kDeviceLists, Stream::kEvents}, 0, 5, 100);
  EXPECT_EQ(text_of(both), "1 2 3 4");
  EXPECT_EQ(both.entries[1].stream, Stream::kDeviceLists);
  EXPECT_EQ(both.to, 5u);
  EXPECT_EQ(text_of(read({Stream::kEvents}, 1, 3, 100)), "3");
  EXPECT_EQ(text_of(read({Stream::kRoomEntries}, 0, 5, 100)), "5a 5b");
  EXPECT_TRUE(read({Stream::kEvents}, 4, 5, 100).entries.empty());
}

TEST_F(PageTest, AFullPageEndsWhereNothingIsLeftOut) {
  commit(Stream::kEvents, 3);                              // 1 to 3
  commit_together(Stream::kRoomEntries, {"a", "b", "c"});  // 4
  commit(Stream::kEvents);                                 // 5
  commit_together(Stream::kRoomEntries, {"d"});            // 6
  const Streams streams = {Stream::kEvents, Stream::kRoomEntries};
  std::string all;
  for (kv::Position from = 0; from < 6;) {
    const Page page = read(streams, from, 6, 2);
    EXPECT_EQ(page.from, from);
    ASSERT_GT(page.to, from);
    all += text_of(page) + "|";
    from = page.to;
  }
  EXPECT_EQ(all, "1 2|3 4a 4b 4c|5 6d|");
}

TEST_F(PageTest, WhatABatchAddsToIsReadFromItsKeys) {
  kv::Batch batch;
  EXPECT_EQ(streams_in(batch), 0u);
  add_entry(batch, Stream::kEvents);
  add_entry(batch, Stream::kRoomEntries);
  batch.put(stores::kMeta, "\x03", "another column");
  batch.erase(stores::kStreams, "\x03");
  EXPECT_EQ(streams_in(batch), (Streams{Stream::kEvents, Stream::kRoomEntries}.bits()));
}

}  // namespace
}  // namespace polder::feed
