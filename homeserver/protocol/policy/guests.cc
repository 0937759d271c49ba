// https://spec.matrix.org/v1.19/client-server-api/#guest-access
#include "homeserver/protocol/policy/rules.h"

namespace polder::policy {
namespace {

// "The following API endpoints are allowed to be accessed by guest accounts", as acts: any events
// and state; joining and leaving; their name; media, which they download.
bool may_be_a_guests(Point point) {
  switch (point) {
    case Point::kMessage:
    case Point::kState:
    case Point::kRedact:
    case Point::kJoin:
    case Point::kLeave:
    case Point::kProfile:
    case Point::kDownload:
    case Point::kLogin:
    case Point::kRegister:
      return true;
    default:
      return false;
  }
}

Refusal refuse(std::string reason) {
  return {ErrorCode::kForbidden, "M_GUEST_ACCESS_FORBIDDEN", std::move(reason)};
}

}  // namespace

Finding check_guest(const Act& act, const Actor& actor, const Facts& facts) {
  if (!facts.account || !facts.account->guest || !std::holds_alternative<Client>(actor))
    return Nothing();
  if (!may_be_a_guests(act.point)) return refuse("Guests may not do this");
  if (act.point == Point::kProfile && act.type != "displayname")
    return refuse("Guests may change their display name only");
  // "Servers MUST only allow guest users to join rooms if the m.room.guest_access state event is
  // present on the room, and has the guest_access value can_join."
  if (act.point == Point::kJoin && facts.guest_access != "can_join")
    return refuse("Guests may not join this room");
  return Nothing();
}

}  // namespace polder::policy
