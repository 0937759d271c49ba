// Accounts that came to their end.
// https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate
#include "homeserver/protocol/policy/rules.h"

namespace polder::policy {

// What was under way when the account was deactivated comes to nothing, whichever way it took. The
// server itself has its deactivated users leave their rooms.
Finding check_account(const Act&, const Actor& actor, const Facts& facts) {
  if (!facts.account || std::holds_alternative<Server>(actor)) return Nothing();
  if (facts.account->deactivated || facts.account->erased)
    return Refusal{ErrorCode::kForbidden, "M_USER_DEACTIVATED", "This account is deactivated"};
  return Nothing();
}

}  // namespace polder::policy
