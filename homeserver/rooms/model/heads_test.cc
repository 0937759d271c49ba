#include "homeserver/rooms/model/heads.h"

#include <gtest/gtest.h>

namespace polder::rooms {
namespace {

std::vector<stores::EventNumber> numbers(const std::vector<stores::TimelineEntry>& entries) {
  std::vector<stores::EventNumber> numbers;
  for (const stores::TimelineEntry& entry : entries)
    numbers.push_back(entry.number);
  return numbers;
}

using Numbers = std::vector<stores::EventNumber>;

TEST(RecentTimeline, GivesEntriesNewestFirstUnlessOlderOnesMayBeAmongThem) {
  RecentTimeline recent;
  EXPECT_FALSE(recent.between(0, 100, 50)) << "nothing is known of a room";
  recent.begin_after(10);
  EXPECT_FALSE(recent.between(9, 100, 50));
  EXPECT_EQ(recent.between(10, 100, 50)->size(), 0u);
  for (kv::Position position = 20; position <= 40; position += 10)
    recent.add({position, position / 10, {}});
  EXPECT_EQ(numbers(*recent.between(10, 100, 50)), (Numbers{4, 3, 2}));
  EXPECT_EQ(numbers(*recent.between(20, 39, 50)), (Numbers{3}));
  EXPECT_EQ(recent.between(40, 100, 50)->size(), 0u);
  EXPECT_FALSE(recent.between(9, 100, 50));
}

TEST(RecentTimeline, GivesTheNewestWhereNoMoreAreAskedFor) {
  RecentTimeline recent;
  recent.begin_after(10);
  for (kv::Position position = 20; position <= 40; position += 10)
    recent.add({position, position / 10, {}});
  EXPECT_EQ(numbers(*recent.between(0, 100, 2)), (Numbers{4, 3}));
  EXPECT_EQ(numbers(*recent.between(0, 39, 2)), (Numbers{3, 2}));
  EXPECT_EQ(numbers(*recent.between(20, 100, 1)), (Numbers{4}));
  EXPECT_EQ(numbers(*recent.between(0, 100, 3)), (Numbers{4, 3, 2}));
  EXPECT_FALSE(recent.between(0, 100, 4)) << "an older one may be there";
  EXPECT_EQ(numbers(*recent.between(10, 100, 4)), (Numbers{4, 3, 2}));
}

TEST(RecentTimeline, LetsTheOldestGoAndKnowsIt) {
  RecentTimeline recent;
  recent.begin_after(0);
  constexpr kv::Position kMany = 100;
  for (kv::Position position = 1; position <= kMany; ++position)
    recent.add({position, position, {.node = position, .hash = 0}, position});
  EXPECT_FALSE(recent.between(0, kMany, kMany));
  EXPECT_FALSE(recent.state_at(1));
  EXPECT_FALSE(recent.notifying_at(1));
  EXPECT_EQ(numbers(*recent.between(kMany - 2, kMany, kMany)), (Numbers{kMany, kMany - 1}));
  EXPECT_EQ(recent.state_at(kMany - 1)->node, kMany - 1);
  EXPECT_EQ(recent.notifying_at(kMany + 5), kMany);
}

TEST(RecentTimeline, ForgetsAllWhenItBeginsAnew) {
  RecentTimeline recent;
  recent.begin_after(0);
  recent.add({5, 1, {.node = 3, .hash = 0}, 1});
  recent.begin_after(5);
  EXPECT_FALSE(recent.between(4, 9, 50));
  EXPECT_FALSE(recent.state_at(9));
  EXPECT_FALSE(recent.notifying_at(9));
  EXPECT_TRUE(recent.between(5, 9, 50)->empty());
}

TEST(RecentTimeline, DoesNotKnowWhatNotifiesBetweenEventsOfOneCommit) {
  RecentTimeline recent;
  recent.begin_after(0);
  recent.add({5, 1, {}});
  recent.add({7, 2, {}, 4});
  EXPECT_FALSE(recent.notifying_at(6));
  EXPECT_EQ(recent.notifying_at(7), 4u);
}

TEST(RecentTimeline, KnowsWhetherAnythingAfterAPositionIsForSomebodyInParticular) {
  RecentTimeline recent;
  EXPECT_TRUE(recent.may_highlight(1) && recent.may_notify_in_threads(1)) << "nothing is known";
  recent.begin_unknown_after(10);
  EXPECT_TRUE(recent.may_highlight(9) && recent.may_notify_in_threads(9));
  EXPECT_FALSE(recent.may_highlight(10) || recent.may_notify_in_threads(10));
  recent.note_highlighted(20);
  recent.note_notified_in_thread(30);
  EXPECT_TRUE(recent.may_highlight(19) && recent.may_notify_in_threads(29));
  EXPECT_FALSE(recent.may_highlight(20) || recent.may_notify_in_threads(30));
  recent.begin_after(40);
  EXPECT_TRUE(recent.may_highlight(19)) << "rows of what is hidden may be there";
}

}  // namespace
}  // namespace polder::rooms
