#include "homeserver/protocol/events/room_version.h"

#include "homeserver/protocol/events/testing/events.h"

namespace polder::events {
namespace {

TEST(RoomVersions, AreOneToTwelve) {
  EXPECT_EQ(room_versions().size(), 12u);
  for (int number = 1; number <= 12; ++number) {
    const RoomVersionRules* rules = find_room_version(std::to_string(number));
    ASSERT_NE(rules, nullptr);
    EXPECT_EQ(rules->event_ids == EventIdFormat::kServerGiven, number <= 2);
    EXPECT_EQ(rules->event_ids == EventIdFormat::kReferenceHash, number == 3);
    EXPECT_EQ(rules->strict_canonical_json, number >= 6);
    EXPECT_EQ(rules->enforce_key_validity, number >= 5);
    EXPECT_EQ(rules->aliases_special_case, number <= 5);
    EXPECT_EQ(rules->redaction_by_event_id_domain, number <= 2);
    EXPECT_EQ(rules->check_notifications_levels, number >= 6);
    EXPECT_EQ(rules->knocking, number >= 7);
    EXPECT_EQ(rules->restricted_joins, number >= 8);
    EXPECT_EQ(rules->knock_restricted, number >= 10);
    EXPECT_EQ(rules->integer_power_levels, number >= 10);
    EXPECT_EQ(rules->creator_is_sender, number >= 11);
    EXPECT_EQ(rules->room_id_is_create_hash, number >= 12);
    EXPECT_EQ(rules->privileged_creators, number >= 12);
  }
  EXPECT_EQ(find_room_version("13"), nullptr);
  EXPECT_EQ(find_room_version(""), nullptr);
  EXPECT_EQ(find_room_version("org.matrix.hydra.11"), nullptr);
}

}  // namespace
}  // namespace polder::events
