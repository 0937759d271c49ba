// Refusals by the authorisation rules, and the rules' numbers in each room version.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "homeserver/base/values/result.h"
#include "homeserver/protocol/events/room_version.h"

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

// Which rule refuses, and why. State resolution has many of these and wants no words, so they are
// made of what is at hand.
struct Refusal {
  Rule rule;
  std::array<int8_t, 3> path;  // steps of the rule; 0 is none
  std::string_view why;        // of static storage
};

inline Refusal refuse(Rule rule, std::initializer_list<int> path, std::string_view why) {
  Refusal refusal{rule, {}, why};
  size_t length = 0;
  for (const int step : path)
    refusal.path[length++] = static_cast<int8_t>(step);
  return refusal;
}

// kForbidden, "rule 4.3.2: why".
Error describe(const Refusal& refusal, const events::RoomVersionRules& rules);

// Whether the rules allow an event: they do, they refuse it, or what they look at cannot be read.
class [[nodiscard]] Verdict {
 public:
  using Failure = std::variant<Refusal, Error>;

  Verdict() = default;
  Verdict(Refusal refusal) : failure_(refusal) {}             // NOLINT: implicit, as are the rest
  Verdict(Error error) : failure_(std::move(error)) {}        // NOLINT
  Verdict(Failure failure) : failure_(std::move(failure)) {}  // NOLINT

  bool ok() const { return !failure_.has_value(); }
  bool is_refusal() const { return failure_ && std::holds_alternative<Refusal>(*failure_); }
  // Only if it is not ok.
  Failure error() && { return *std::move(failure_); }

 private:
  std::optional<Failure> failure_;
};

// A verdict in words.
Status describe(Verdict verdict, const events::RoomVersionRules& rules);

}  // namespace polder::dag
