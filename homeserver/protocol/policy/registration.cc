// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register
#include "homeserver/protocol/policy/rules.h"

namespace polder::policy {

// Administrators register others, application services the users of their namespaces.
Finding check_registration(const Act& act, const Actor& actor, const Facts& facts) {
  if (act.point != Point::kRegister || !std::holds_alternative<Client>(actor)) return Nothing();
  if (facts.registration && !facts.registration->open)
    return Refusal{ErrorCode::kForbidden, "M_FORBIDDEN", "Registration is disabled"};
  return Nothing();
}

}  // namespace polder::policy
