#include "homeserver/protocol/dag/rules.h"

#include <string>

namespace polder::dag {
namespace {

// Versions 1 to 5 have a rule on aliases before the one on members; from version 12 on, a rule on
// the room id stands before the one on auth events.
int number_of(const events::RoomVersionRules& rules, Rule rule) {
  if (rule == Rule::kAliases) return 4;
  if (rule == Rule::kRoomId) return 2;
  int number = static_cast<int>(rule);
  if (rules.aliases_special_case && rule >= Rule::kMember) ++number;
  if (rules.room_id_is_create_hash && rule >= Rule::kAuthEvents) ++number;
  return number;
}

}  // namespace

Error describe(const Refusal& refusal, const events::RoomVersionRules& rules) {
  std::string message = "rule " + std::to_string(number_of(rules, refusal.rule));
  for (const int step : refusal.path) {
    if (step != 0) message += "." + std::to_string(step);
  }
  message += ": ";
  message += refusal.why;
  return fail(ErrorCode::kForbidden, std::move(message));
}

Status describe(Verdict verdict, const events::RoomVersionRules& rules) {
  if (verdict.ok()) return {};
  Verdict::Failure failure = std::move(verdict).error();
  if (const auto* refusal = std::get_if<Refusal>(&failure)) return describe(*refusal, rules);
  return std::get<Error>(std::move(failure));
}

}  // namespace polder::dag
