#include "homeserver/rooms/write/consequences.h"

#include "homeserver/protocol/dag/server_acl.h"

namespace polder::rooms {
namespace {

constexpr std::string_view kServerAcl = "m.room.server_acl";

// A redacted ACL allows nobody.
Status check_redaction(RoomView& view, const LocalEvent& event) {
  if (!event.redacts) return {};
  POLDER_TRY(const auto number, view.find(*event.redacts));
  if (!number) return {};
  POLDER_TRY(const HeldEvent target, view.load(*number));
  if (!target.event->is(kServerAcl) || !target.event->is_state()) return {};
  return fail(ErrorCode::kForbidden, "A redacted ACL would deny every server");
}

// https://spec.matrix.org/v1.19/client-server-api/#mroomcreate (m.federate): "Whether users on
// other servers can join this room."
Status check_invite(const Room& room, RoomView& view, const LocalEvent& event,
                    const ServerName& own) {
  const std::string* membership = event.content.find_string("membership");
  const bool invite = event.type == "m.room.member" && event.state_key && membership != nullptr &&
                      *membership == "invite";
  if (!invite) return {};
  const auto target = UserId::parse(*event.state_key);
  if (!target.ok() || target->server() == own.view()) return {};
  POLDER_TRY(const auto create, view.state_event(room.record.edge(), "m.room.create", ""));
  if (!create || create->content().find_bool("m.federate") != std::optional(false)) return {};
  return fail(ErrorCode::kForbidden, "The room does not federate");
}

}  // namespace

// https://spec.matrix.org/v1.19/client-server-api/#server-access-control-lists-acls-for-rooms: who
// denies their own server takes part no more, and cannot take it back.
Status check_acl(const LocalEvent& event, const ServerName& own) {
  if (event.type != kServerAcl || !event.state_key || !event.state_key->empty()) return {};
  if (dag::ServerAcl(event.content).allows(own)) return {};
  return fail(ErrorCode::kInvalid, "M_INVALID_PARAM", "The ACL would deny this server itself");
}

Status check_consequences(const Room& room, RoomView& view, const LocalEvent& event,
                          const ServerName& own) {
  POLDER_CHECK(check_acl(event, own));
  POLDER_CHECK(check_redaction(view, event));
  return check_invite(room, view, event, own);
}

}  // namespace polder::rooms
