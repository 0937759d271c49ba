#include "storage/stores/base/names.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "storage/kv/memory.h"
#include "storage/stores/base/columns.h"
#include "storage/stores/base/name_cache.h"

namespace polder::stores {
namespace {

class NamesTest : public ::testing::Test {
 protected:
  static constexpr size_t kCached = 64;

  void SetUp() override {
    database_ = kv::open_memory(kColumns, disk_);
    reopen();
  }
  void reopen() { names_ = *Names::open(*database_, kCached); }

  std::string user(size_t i) { return "@u" + std::to_string(i) + ":h"; }

  void write(const kv::Batch& batch) {
    const kv::Batch* const batches[] = {&batch};
    EXPECT_TRUE(database_->write(batches, 1, true).ok());
  }
  uint64_t intern(const std::string& name, kv::Batch& batch, NewNames& written) {
    return *names_->intern(NameKind::kUser, name, batch, written);
  }
  uint64_t intern_durably(const std::string& name) {
    kv::Batch batch;
    NewNames written;
    const uint64_t number = intern(name, batch, written);
    write(batch);
    names_->committed(written);
    return number;
  }

  kv::MemoryDisk disk_;
  std::unique_ptr<kv::Database> database_;
  std::unique_ptr<Names> names_;
};

TEST_F(NamesTest, EveryBatchWritesAMappingUntilOneOfThemIsDurable) {
  kv::Batch first, second, third;
  NewNames in_first, in_second, in_third;
  const uint64_t number = intern("@a:h", first, in_first);
  EXPECT_EQ(intern("@a:h", second, in_second), number);
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(first.ops().size(), second.ops().size());
  write(second);
  names_->committed(in_second);
  EXPECT_EQ(intern("@a:h", third, in_third), number);
  EXPECT_TRUE(third.empty());
  EXPECT_TRUE(in_third.empty());
}

TEST_F(NamesTest, WhatIsInMemoryIsKnownWithoutTheDisk) {
  EXPECT_EQ(names_->known(NameKind::kUser, "@a:h"), std::nullopt);
  kv::Batch batch;
  NewNames written;
  const uint64_t number = intern("@a:h", batch, written);
  EXPECT_EQ(names_->known(NameKind::kUser, "@a:h"), number);
  EXPECT_EQ(names_->known(NameKind::kRoom, "@a:h"), std::nullopt);
}

TEST_F(NamesTest, NumbersAreFoundAgainAfterTheirEntriesMadeRoom) {
  std::vector<uint64_t> numbers;
  for (size_t i = 0; i < 10 * kCached; ++i)
    numbers.push_back(intern_durably(user(i)));
  EXPECT_EQ(std::set<uint64_t>(numbers.begin(), numbers.end()).size(), numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    EXPECT_EQ(*names_->find(NameKind::kUser, user(i)), numbers[i]);
    EXPECT_EQ(*names_->name(NameKind::kUser, numbers[i]), user(i));
    EXPECT_EQ(intern_durably(user(i)), numbers[i]);
  }
  EXPECT_TRUE(Names::check(*database_->snapshot()).ok());
}

TEST_F(NamesTest, WhatIsNotDurableIsKnownBothWaysHoweverManyOthersCome) {
  std::vector<uint64_t> numbers;
  kv::Batch batch;
  NewNames written;
  for (size_t i = 0; i < 10 * kCached; ++i)
    numbers.push_back(intern(user(i), batch, written));
  for (size_t i = 0; i < 10 * kCached; ++i)
    intern_durably("@other" + std::to_string(i) + ":h");
  for (size_t i = 0; i < numbers.size(); ++i) {
    EXPECT_EQ(*names_->find(NameKind::kUser, user(i)), numbers[i]);
    EXPECT_EQ(*names_->name(NameKind::kUser, numbers[i]), user(i));
  }
}

TEST_F(NamesTest, NumbersGoOnAfterTheGreatestOnDisk) {
  const uint64_t last = intern_durably("@a:h");
  reopen();
  EXPECT_GT(intern_durably("@b:h"), last);
  EXPECT_EQ(*names_->find(NameKind::kUser, "@a:h"), last);
}

TEST_F(NamesTest, KindsDoNotShareNames) {
  intern_durably("x");
  EXPECT_EQ(*names_->find(NameKind::kServer, "x"), std::nullopt);
  EXPECT_FALSE(names_->name(NameKind::kServer, 1).ok());
}

// Threads that give, make durable and forget the same names at once agree on every number.
TEST_F(NamesTest, ANameHasOneNumberWhoeverAsksAtOnce) {
  constexpr size_t kThreads = 4, kNames = 500;
  std::vector<std::vector<uint64_t>> given(kThreads);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < kNames; ++i)
        given[t].push_back(intern_durably(user(i)));
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  for (size_t t = 1; t < kThreads; ++t)
    EXPECT_EQ(given[t], given[0]);
  EXPECT_TRUE(Names::check(*database_->snapshot()).ok());
}

TEST(NameCache, WhatWasAskedForOutlivesWhatWasNot) {
  NameCache<uint64_t> cache(4);
  for (uint64_t i = 1; i <= 4; ++i)
    cache.insert(std::to_string(i), i, false);
  cache.insert("5", 5, false);  // the hand has been round: all count as not asked for now
  ASSERT_NE(cache.find(3), nullptr);
  cache.insert("6", 6, false);
  cache.insert("7", 7, false);
  EXPECT_NE(cache.find(3), nullptr);
  EXPECT_EQ(cache.size(), 4u);
}

}  // namespace
}  // namespace polder::stores
