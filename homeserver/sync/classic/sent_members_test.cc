#include "homeserver/sync/classic/sent_members.h"

#include <gtest/gtest.h>

namespace polder::sync {
namespace {

const DeviceId kPhone = DeviceId::trusted("PHONE");

TEST(SentMembers, AreKnownToTheirDeviceOnceItHasThem) {
  SentMembers sent;
  const auto phone = sent.of(1, kPhone, 10);
  EXPECT_FALSE(phone->has(7, 3, 100));
  phone->add(7, 3, 100, 20);
  EXPECT_TRUE(phone->has(7, 3, 100));
  EXPECT_FALSE(phone->has(7, 3, 101)) << "another event";
  EXPECT_FALSE(phone->has(8, 3, 100)) << "another room";
  EXPECT_FALSE(sent.of(1, DeviceId::trusted("TABLET"), 20)->has(7, 3, 100));
  EXPECT_FALSE(sent.of(2, kPhone, 20)->has(7, 3, 100));
  EXPECT_TRUE(sent.of(1, kPhone, 20)->has(7, 3, 100));
  EXPECT_FALSE(sent.of(1, kPhone, 19)->has(7, 3, 100)) << "the response did not arrive";
  EXPECT_FALSE(sent.of(1, kPhone, 20)->has(7, 3, 100));
}

TEST(SentMembers, AreBounded) {
  SentMembers sent;
  const auto phone = sent.of(1, kPhone, 0);
  for (uint64_t i = 0; i <= kSentMembersMax; ++i)
    phone->add(7, i, 1, 1);
  EXPECT_FALSE(phone->has(7, 0, 1));
  EXPECT_TRUE(phone->has(7, kSentMembersMax, 1));
  for (uint64_t user = 2; user <= kSentMembersOfAllMax / kSentMembersMax + 2; ++user) {
    const auto device = sent.of(user, kPhone, 1);
    for (uint64_t i = 0; i < kSentMembersMax; ++i)
      device->add(7, i, 1, 1);
  }
  EXPECT_FALSE(sent.of(2, kPhone, 1)->has(7, 0, 1)) << "all was forgotten";
}

}  // namespace
}  // namespace polder::sync
