#include "homeserver/protocol/events/room_version.h"

#include <algorithm>
#include <array>

namespace polder::events {
namespace {

using Rules = RoomVersionRules;

// Each version is the one before it with what its page changes
// (https://spec.matrix.org/v1.19/rooms/).
constexpr Rules kV1{.id = "1",
                    .event_ids = EventIdFormat::kServerGiven,
                    .strict_canonical_json = false,
                    .enforce_key_validity = false,
                    .state_resolution = StateResolution::kV1,
                    .aliases_special_case = true,
                    .redaction_by_event_id_domain = true,
                    .check_notifications_levels = false,
                    .redaction_keeps_aliases = true};

constexpr Rules kV2 = [] {
  Rules rules = kV1;
  rules.id = "2";
  rules.state_resolution = StateResolution::kV2;
  return rules;
}();

constexpr Rules kV3 = [] {
  Rules rules = kV2;
  rules.id = "3";
  rules.event_ids = EventIdFormat::kReferenceHash;
  rules.redaction_by_event_id_domain = false;
  return rules;
}();

constexpr Rules kV4 = [] {
  Rules rules = kV3;
  rules.id = "4";
  rules.event_ids = EventIdFormat::kUrlSafeHash;
  return rules;
}();

constexpr Rules kV5 = [] {
  Rules rules = kV4;
  rules.id = "5";
  rules.enforce_key_validity = true;
  return rules;
}();

constexpr Rules kV6 = [] {
  Rules rules = kV5;
  rules.id = "6";
  rules.strict_canonical_json = true;
  rules.aliases_special_case = false;
  rules.check_notifications_levels = true;
  rules.redaction_keeps_aliases = false;
  return rules;
}();

constexpr Rules kV7 = [] {
  Rules rules = kV6;
  rules.id = "7";
  rules.knocking = true;
  return rules;
}();

constexpr Rules kV8 = [] {
  Rules rules = kV7;
  rules.id = "8";
  rules.restricted_joins = true;
  rules.redaction_keeps_join_rule_allow = true;
  return rules;
}();

constexpr Rules kV9 = [] {
  Rules rules = kV8;
  rules.id = "9";
  rules.redaction_keeps_join_authorised = true;
  return rules;
}();

constexpr Rules kV10 = [] {
  Rules rules = kV9;
  rules.id = "10";
  rules.integer_power_levels = true;
  rules.knock_restricted = true;
  return rules;
}();

constexpr Rules kV11 = [] {
  Rules rules = kV10;
  rules.id = "11";
  rules.keys_count_bytes = true;
  rules.creator_is_sender = true;
  rules.redaction_of_version_11 = true;
  return rules;
}();

constexpr Rules kV12 = [] {
  Rules rules = kV11;
  rules.id = "12";
  rules.room_id_is_create_hash = true;
  rules.privileged_creators = true;
  rules.state_resolution = StateResolution::kV2Point1;
  return rules;
}();

constexpr std::array kAll = {kV1, kV2, kV3, kV4, kV5, kV6, kV7, kV8, kV9, kV10, kV11, kV12};

}  // namespace

const RoomVersionRules* find_room_version(std::string_view id) {
  const auto found = std::ranges::find(kAll, id, &Rules::id);
  return found == kAll.end() ? nullptr : &*found;
}

std::span<const RoomVersionRules> room_versions() {
  return kAll;
}

}  // namespace polder::events
