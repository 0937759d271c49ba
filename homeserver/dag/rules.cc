#include "homeserver/dag/rules.h"

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

Error refuse(const events::RoomVersionRules& rules, Rule rule, std::initializer_list<int> path,
             std::string_view why) {
  std::string message = "rule " + std::to_string(number_of(rules, rule));
  for (int step : path)
    message += "." + std::to_string(step);
  message += ": ";
  message += why;
  return fail(ErrorCode::kForbidden, std::move(message));
}

}  // namespace polder::dag
