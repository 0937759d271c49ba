// The numbers of the authorisation rules in each room version, for refusals that name them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "homeserver/base/result.h"
#include "homeserver/events/room_version.h"

namespace polder::dag {

// Top-level rules, by their numbers in room version 6, whose list others extend.
enum class Rule : uint8_t {
  kCreate = 1,
  kAuthEvents = 2,
  kFederate = 3,
  kMember = 4,
  kSenderJoined = 5,
  kThirdPartyInvite = 6,
  kRequiredLevel = 7,
  kUserKey = 8,
  kPowerLevels = 9,
  kRedaction = 10,  // versions 1 and 2
  kAliases,         // versions 1 to 5
  kRoomId,          // from version 12
};

// A refusal: kForbidden, "rule 4.3.2: why".
Error refuse(const events::RoomVersionRules& rules, Rule rule, std::initializer_list<int> path,
             std::string_view why);

}  // namespace polder::dag
