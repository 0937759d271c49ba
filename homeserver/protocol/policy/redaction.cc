// https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidredacteventidtxnid
//
// The authorisation rules of room versions from 3 on let every redaction into the room, and whether
// it applies is each server's to find out: so it is the sender's server that sends none without
// power.
#include "homeserver/protocol/policy/rules.h"

namespace polder::policy {

// "Any user [...] may send redactions for their own events in the room. If the user's power level
// is also greater than or equal to the redact power level of the room, the user may redact events
// sent by other users. Server administrators may redact events sent by users on their server."
Finding check_redaction(const Act& act, const Actor& actor, const Facts& facts) {
  if (act.point != Point::kRedact || !facts.redaction) return Nothing();
  const Redaction& redaction = *facts.redaction;
  if (redaction.target_elsewhere)
    return Refusal{ErrorCode::kInvalid, "M_INVALID_PARAM", "The event is not in this room"};
  if (redaction.creates_room)
    return Refusal{ErrorCode::kForbidden, "M_FORBIDDEN",
                   "The event that creates a room cannot be redacted"};
  if (redaction.own_event) return Nothing();
  if (redaction.has_level) return Permission{"redact_level"};
  if (!redaction.target_known)
    return Refusal{ErrorCode::kNotFound, "M_NOT_FOUND", "No such event in this room"};
  const bool administrator = std::holds_alternative<Administrator>(actor) ||
                             (facts.account && facts.account->administrator);
  if (redaction.local_event && administrator) return Permission{"administrator"};
  return Refusal{ErrorCode::kForbidden, "M_FORBIDDEN",
                 "You need the power to redact others' events"};
}

}  // namespace polder::policy
