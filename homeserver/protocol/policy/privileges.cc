// What is done over others is on record, whoever may do it.
#include "homeserver/protocol/policy/rules.h"

namespace polder::policy {

Finding check_privileges(const Act& act, const Actor& actor, const Facts&) {
  if (std::holds_alternative<Administrator>(actor)) return Permission{"administrator"};
  if (act.point == Point::kKick || act.point == Point::kBan) return Permission{"moderation"};
  return Nothing();
}

}  // namespace polder::policy
