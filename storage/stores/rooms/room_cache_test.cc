#include "storage/stores/rooms/room_cache.h"

#include <string>

namespace polder::stores {
namespace {

using Cache = RoomCache<std::string>;

std::shared_ptr<const std::string> content(const std::string& text) {
  return std::make_shared<const std::string>(text);
}

TEST(RoomCache, GivesWhatWasInsertedLast) {
  Cache cache(1 << 20);
  EXPECT_EQ(cache.find(1, 2), nullptr);
  cache.insert(1, 2, content("old"), 3);
  cache.insert(1, 2, content("new"), 3);
  cache.insert(2, 1, content("of another room"), 15);
  EXPECT_EQ(*cache.find(1, 2), "new");
  EXPECT_EQ(*cache.find(2, 1), "of another room");
  EXPECT_EQ(cache.find(1, 1), nullptr);
}

TEST(RoomCache, HoldsNoMoreThanItMay) {
  constexpr size_t kBytes = 1 << 20;
  constexpr size_t kEach = 4096;
  Cache cache(kBytes);
  size_t held = 0;
  for (uint64_t number = 0; number < 1000; ++number)
    cache.insert(1, number, content("x"), kEach);
  for (uint64_t number = 0; number < 1000; ++number)
    held += cache.find(1, number) != nullptr ? 1 : 0;
  EXPECT_LE(held * kEach, kBytes);
  EXPECT_GT(held * kEach, kBytes / 2);
}

TEST(RoomCache, KeepsWhatIsUsed) {
  Cache cache(1 << 16);
  cache.insert(1, 0, content("used"), 100);
  for (uint64_t number = 1; number < 1000; ++number) {
    cache.insert(1, number, content("x"), 100);
    ASSERT_NE(cache.find(1, 0), nullptr) << number;
  }
}

TEST(RoomCache, WhatIsLargerThanAllOfItIsNotHeld) {
  Cache cache(1 << 16);
  cache.insert(1, 1, content("x"), 1 << 20);
  EXPECT_EQ(cache.find(1, 1), nullptr);
  cache.insert(1, 1, content("y"), 1);
  EXPECT_NE(cache.find(1, 1), nullptr);
}

}  // namespace
}  // namespace polder::stores
