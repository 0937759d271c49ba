// https://spec.matrix.org/v1.19/server-server-api/
#include "homeserver/protocol/policy/rules.h"

namespace polder::policy {

Finding check_federation(const Act& act, const Actor&, const Facts& facts) {
  if (act.point != Point::kFederateIn && act.point != Point::kFederateOut) return Nothing();
  if (!facts.federation) return Nothing();
  if (facts.federation->off)
    return Refusal{ErrorCode::kForbidden, "M_FORBIDDEN", "This server talks to no other server"};
  if (facts.federation->own_server)
    return Refusal{ErrorCode::kForbidden, "M_FORBIDDEN", "This is this server itself"};
  return Nothing();
}

}  // namespace polder::policy
