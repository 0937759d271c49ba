// Several threads commit, followers on shards of their own follow, and others look on.
#include <atomic>
#include <thread>

#include "homeserver/base/runtime/threads.h"
#include "storage/feed/testing/log.h"

namespace polder::feed {
namespace {

constexpr size_t kWriters = 3;
constexpr size_t kEach = 100;

Task<void> stop_all(Followers& followers, runtime::Threads& runtime, std::atomic<int>& stopped) {
  stopped = co_await followers.stop(Millis(10'000)) ? 1 : 2;
  co_await runtime::on_pool(runtime, [&followers] { followers.committer().stop(); });
  runtime.stop();
}

void write(kv::Committer& committer, Stream stream) {
  for (size_t i = 0; i < kEach; ++i) {
    kv::Batch batch;
    add_entry(batch, stream);
    ASSERT_TRUE(committer.commit_and_wait(std::move(batch)).ok());
  }
}

TEST(FollowerThreads, FollowersKeepUpWithWhoeverCommits) {
  base::SystemClock clock;
  base::SystemRandom random;
  base::NullLog log;
  kv::MemoryDisk disk;
  const auto database = kv::open_memory(stores::kColumns, disk);
  const auto runtime = runtime::Threads::create({.shards = 2}, clock, random, log);
  const auto committer = kv::Committer::create(*runtime, *database);
  Followers followers(*runtime, *database, *committer);
  Recorder all_events(*runtime);
  Recorder all_lists(*runtime);
  Follower first(followers, {.name = "first", .streams = {Stream::kEvents}}, all_events);
  Follower second(followers,
                  {.name = "second",
                   .streams = {Stream::kDeviceLists},
                   .durability = kv::Durability::kDurable,
                   .shard = 1},
                  all_lists);
  for (Follower* follower : {&first, &second}) {
    ASSERT_TRUE(follower->load().ok());
    follower->start();
  }
  std::thread running([&] { runtime->run(); });
  std::atomic<bool> over = false;
  std::thread watching([&] {
    while (!over) {
      EXPECT_LE(first.lag().positions, kWriters * kEach);
      std::this_thread::yield();
    }
  });
  std::vector<std::thread> writers;
  for (size_t i = 0; i < kWriters; ++i) {
    writers.emplace_back(
        [&, i] { write(*committer, i == 0 ? Stream::kDeviceLists : Stream::kEvents); });
  }
  for (std::thread& writer : writers)
    writer.join();
  while (!first.level() || !second.level())
    std::this_thread::yield();
  over = true;
  watching.join();
  std::atomic<int> stopped = 0;
  runtime::spawn(*runtime, runtime->shard(0), "test", stop_all(followers, *runtime, stopped));
  running.join();
  EXPECT_EQ(stopped, 1);
  EXPECT_EQ(all_events.seen.size(), 2 * kEach);
  EXPECT_TRUE(std::ranges::is_sorted(all_events.seen));
  EXPECT_EQ(all_lists.seen.size(), kEach);
  EXPECT_TRUE(std::ranges::is_sorted(all_lists.seen));
  EXPECT_GE(*stores::read_cursor(*database->snapshot(), "second"), all_lists.seen.back());
}

}  // namespace
}  // namespace polder::feed
