// Room versions as data: one row of rules per version (https://spec.matrix.org/v1.19/rooms/). Code
// reads a rule; it never asks for the version's number.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace polder::events {

enum class EventIdFormat : uint8_t {
  kServerGiven,    // "$opaque:server", in the event itself (versions 1, 2)
  kReferenceHash,  // "$" + reference hash in standard unpadded base64 (version 3)
  kUrlSafeHash,    // the same in URL-safe base64 (from version 4)
};

enum class StateResolution : uint8_t { kV1, kV2, kV2Point1 };

struct RoomVersionRules {
  std::string_view id;
  bool stable = true;

  // Format
  EventIdFormat event_ids = EventIdFormat::kUrlSafeHash;
  bool strict_canonical_json = true;  // from 6
  bool enforce_key_validity = true;   // from 5: a signature's key must be valid at origin_server_ts
  bool room_id_is_create_hash = false;  // from 12 (MSC4291); the create event is in no auth_events
  bool integer_power_levels = false;    // from 10: strings are refused
  bool keys_count_bytes =
      false;  // from 11: lengths of type and state_key are bytes, not characters

  // State resolution
  StateResolution state_resolution = StateResolution::kV2;

  // Authorisation
  bool aliases_special_case = false;          // 1 to 5: m.room.aliases by the sender's domain
  bool redaction_by_event_id_domain = false;  // 1, 2: m.room.redaction checked by auth rules
  bool check_notifications_levels = true;     // from 6
  bool knocking = false;                      // from 7
  bool restricted_joins = false;              // from 8
  bool knock_restricted = false;              // from 10
  bool creator_is_sender = false;             // from 11: content.creator is gone
  bool privileged_creators = false;           // from 12 (MSC4289): creators outrank every level

  // Redaction
  bool redaction_keeps_aliases = false;          // 1 to 5
  bool redaction_keeps_join_rule_allow = false;  // from 8
  bool redaction_keeps_join_authorised = false;  // from 9
  bool redaction_of_version_11 = false;          // from 11 (MSC2174, MSC2176, MSC3821, MSC3989)
};

inline constexpr std::string_view kDefaultRoomVersion = "12";

// Null if the version is not known here.
const RoomVersionRules* find_room_version(std::string_view id);
std::span<const RoomVersionRules> room_versions();

}  // namespace polder::events
