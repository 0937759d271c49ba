// What belongs to who runs the server.
#include "homeserver/protocol/policy/rules.h"

namespace polder::policy {

// Users change and end their own accounts. What the server is asked to do to all that is in a room,
// or to its own work, is for administrators.
Finding check_administration(const Act& act, const Actor& actor, const Facts&) {
  if (std::holds_alternative<Administrator>(actor) || std::holds_alternative<Server>(actor))
    return Nothing();
  const bool of_account = act.point == Point::kPassword || act.point == Point::kDeactivate;
  const bool of_server = act.point == Point::kPurge || act.point == Point::kStopJob;
  if (!of_server && (!of_account || act.target == name_of(actor))) return Nothing();
  return Refusal{ErrorCode::kForbidden, "M_FORBIDDEN", "Only administrators may do this"};
}

}  // namespace polder::policy
