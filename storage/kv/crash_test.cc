// The power goes at every write of a run in turn. Afterwards every acknowledged batch is there
// whole, every other one whole or not at all, positions are in the order of the commits, without a
// hole, and none is given twice.
#include <rocksdb/env.h>

#include <atomic>
#include <thread>

#include "homeserver/base/runtime/simulated.h"
#include "storage/kv/committer.h"
#include "storage/kv/testing/places.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/lsan_interface.h>
#define POLDER_FINDS_LEAKS
#endif
#endif

namespace polder::kv {
namespace {

constexpr size_t kWriters = 4;
constexpr size_t kBatches = 6;  // of each writer, one after the other
constexpr ColumnId kByName = 0;
constexpr ColumnId kByPosition = 1;

// A place that can lose its power.
class CrashPlace {
 public:
  virtual ~CrashPlace() = default;
  virtual Place& place() = 0;
  virtual void cut_power_at(uint64_t write) = 0;
  virtual bool was_cut() const = 0;
  virtual uint64_t writes() const = 0;  // so far; 0 where opening writes nothing
  // `kept` decides how much of what was not synced is there after all.
  virtual void power_on(uint64_t kept) = 0;
};

class MemoryCrashPlace final : public CrashPlace {
 public:
  Place& place() override { return place_; }
  void cut_power_at(uint64_t write) override { place_.disk.fail_after(write); }
  bool was_cut() const override { return place_.disk.failing(); }
  uint64_t writes() const override { return 0; }
  void power_on(uint64_t kept) override {
    place_.disk.power_loss(kept);
    place_.disk.repair();
  }

 private:
  MemoryPlace place_;
};

class RocksCrashPlace final : public CrashPlace {
 public:
  Place& place() override { return place_; }
  void cut_power_at(uint64_t write) override { place_.disk.cut_power_at(write); }
  bool was_cut() const override { return !place_.disk.powered(); }
  uint64_t writes() const override { return place_.disk.changes(); }
  void power_on(uint64_t kept) override {
    place_.disk.power_on(static_cast<unsigned>(kept * 37 % 100));
  }

 private:
  base::SystemClock clock_;
  ForgettingRocksPlace place_{clock_};
};

std::string write_big_endian(uint64_t value) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(value >> shift & 255));
  return out;
}

uint64_t read_big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes)
    value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

// One of the batches of the run: a row that names its first position, and a row for each position.
struct Item {
  size_t writer = 0;
  size_t number = 0;

  std::string name() const { return std::to_string(writer) + "/" + std::to_string(number); }
  uint32_t positions() const { return static_cast<uint32_t>(1 + (writer + number) % 3); }
  Durability durability() const {
    return writer == 3 && number % 2 == 0 ? Durability::kLazy : Durability::kDurable;
  }

  Batch batch() const {
    Batch batch;
    for (uint32_t i = 0; i < positions(); ++i) {
      const Batch::Patch patch{0, batch.reserve_position()};
      batch.put(kByPosition, write_big_endian(0), {&patch, 1}, name(), {});
      if (i == 0) batch.put(kByName, name(), {}, write_big_endian(0), {&patch, 1});
    }
    return batch;
  }
};

// What the writers were told, over all lives of the database.
using Acknowledged = std::map<std::string, Position>;

// Commits a writer's batches from `next` on, until one fails.
Task<void> write_all(Committer& committer, size_t writer, size_t next, Acknowledged& acknowledged,
                     size_t& running) {
  for (; next < kBatches; ++next) {
    const Item item{writer, next};
    const auto committed = co_await committer.commit(item.batch(), item.durability());
    if (!committed.ok()) break;
    acknowledged.emplace(item.name(), committed->first);
  }
  --running;
}

// What is in the database, once it has been found whole.
class Contents {
 public:
  explicit Contents(const Database& database) : snapshot_(database.snapshot()) {
    const auto rows = snapshot_->iterate(kByPosition, {});
    for (rows->seek_to_first(); rows->valid(); rows->next())
      owners_[read_big_endian(rows->key())] = rows->value();
    EXPECT_TRUE(rows->status().ok());
  }

  std::optional<Position> first_of(const Item& item) const {
    const auto row = snapshot_->get(kByName, item.name());
    EXPECT_TRUE(row.ok());
    if (!*row) return std::nullopt;
    return read_big_endian(**row);
  }

  void expect_whole(const Database& database, const Acknowledged& acknowledged) const {
    size_t owned = 0;
    for (size_t writer = 0; writer < kWriters; ++writer) {
      Position before = 0;
      bool ended = false;
      for (size_t number = 0; number < kBatches; ++number) {
        const Item item{writer, number};
        const auto first = first_of(item);
        const auto told = acknowledged.find(item.name());
        if (told != acknowledged.end()) EXPECT_EQ(first, told->second) << item.name();
        EXPECT_FALSE(first && ended) << item.name() << " without the one before it";
        if (!first) ended = true;
        if (!first) continue;
        EXPECT_GT(*first, before) << item.name();
        before = *first;
        owned += item.positions();
        for (Position at = *first; at < *first + item.positions(); ++at)
          EXPECT_EQ(owner(at), item.name()) << at;
      }
    }
    // Every position up to the last belongs to a batch that is whole.
    EXPECT_EQ(owned, owners_.size());
    EXPECT_EQ(owners_.empty() ? 0 : owners_.rbegin()->first, owners_.size());
    EXPECT_EQ(database.last_position(), owners_.size());
    expect_log(database);
  }

 private:
  std::string owner(Position position) const {
    const auto found = owners_.find(position);
    return found == owners_.end() ? "(nobody)" : found->second;
  }
  void expect_log(const Database& database) const {
    Position next = 1;
    uint64_t sequence = 0;
    const Status read = database.read_log(0, [&](const LogGroup& group) {
      EXPECT_EQ(group.first, next);
      EXPECT_GT(group.sequence, sequence);
      next += group.positions;
      sequence = group.sequence;
      return true;
    });
    EXPECT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(next, owners_.size() + 1);
  }

  std::shared_ptr<const Snapshot> snapshot_;
  std::map<Position, std::string> owners_;
};

// How many batches of each writer are in the database.
using Next = std::array<size_t, kWriters>;

Next expect_whole(const Database& database, const Acknowledged& acknowledged) {
  const Contents found(database);
  found.expect_whole(database, acknowledged);
  Next next{};
  for (size_t writer = 0; writer < kWriters; ++writer) {
    while (next[writer] < kBatches && found.first_of({writer, next[writer]}))
      ++next[writer];
  }
  return next;
}

// RocksDB loses a memtable when it cannot begin a new write log: not ours to report.
void flush(Database& database) {
#ifdef POLDER_FINDS_LEAKS
  const __lsan::ScopedDisabler disabler;
#endif
  static_cast<void>(database.flush());
}

// Lets the writers go on with what is missing, flushes while they write, and crashes.
void write_and_crash(Database& database, uint64_t seed, Next next, Acknowledged& acknowledged) {
  const auto simulation = runtime::Simulation::create(seed);
  const auto runtime = simulation->add_runtime("crash");
  const auto committer = Committer::create(*runtime, database);
  size_t running = kWriters;
  for (size_t writer = 0; writer < kWriters; ++writer) {
    runtime::spawn(*runtime, runtime->shard(0), "writer",
                   write_all(*committer, writer, next[writer], acknowledged, running));
  }
  const size_t half = acknowledged.size() + kWriters * kBatches / 2;
  simulation->run_until([&] { return running == 0 || acknowledged.size() >= half; },
                        Millis(60'000));
  flush(database);
  EXPECT_TRUE(simulation->run_until([&] { return running == 0; }, Millis(60'000)));
  simulation->crash(*runtime);
  static_cast<void>(database.close());
}

template <class CrashingPlace>
class CrashTest : public testing::Test {};

class PlaceNames {
 public:
  template <class T>
  static std::string GetName(int) {
    return std::is_same_v<T, MemoryCrashPlace> ? "Memory" : "Rocks";
  }
};
using CrashPlaces = testing::Types<MemoryCrashPlace, RocksCrashPlace>;
TYPED_TEST_SUITE(CrashTest, CrashPlaces, PlaceNames);

// A run that is cut at a write, and two more that are not. False if it ended before that write.
template <class CrashingPlace>
bool survive_cut_at(uint64_t write, uint64_t kept) {
  CrashingPlace crashing;
  Acknowledged acknowledged;
  crashing.cut_power_at(write);
  if (auto opened = crashing.place().open(); opened.ok())
    write_and_crash(**opened, write, {}, acknowledged);
  const bool cut = crashing.was_cut();
  crashing.power_on(kept);
  // The next life goes on where this one was cut; the last finds everything.
  for (const uint64_t life : {1u, 2u}) {
    auto opened = crashing.place().open();
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    if (!opened.ok()) break;
    const Next next = expect_whole(**opened, acknowledged);
    if (life == 2) EXPECT_EQ(next, (Next{kBatches, kBatches, kBatches, kBatches}));
    write_and_crash(**opened, write + life, next, acknowledged);
  }
  return cut;
}

TYPED_TEST(CrashTest, EveryAcknowledgedBatchOutlivesAPowerCutAtAnyWrite) {
  uint64_t opening = 0;
  {
    TypeParam uncut;
    ASSERT_TRUE(uncut.place().open().ok());
    opening = uncut.writes();
  }
  // Side by side, because RocksDB sleeps for a second after each flush that failed.
  constexpr int kThreads = 16;
  rocksdb::Env::Default()->SetBackgroundThreads(kThreads, rocksdb::Env::Priority::HIGH);
  std::atomic<uint64_t> next = 1;
  std::atomic<uint64_t> end = ~uint64_t{0};  // the first write that the run does not reach
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (uint64_t write = next++; write < end && !this->HasFailure(); write = next++) {
        SCOPED_TRACE("cut at write " + std::to_string(write));
        if (!survive_cut_at<TypeParam>(write, 0)) end = std::min(end.load(), write);
        if (write > opening) survive_cut_at<TypeParam>(write, write);
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_GT(end, opening + 5);
}

}  // namespace
}  // namespace polder::kv
