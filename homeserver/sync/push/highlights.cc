#include "homeserver/sync/push/highlights.h"

#include "storage/stores/rooms/push_rows.h"

namespace polder::push {

Result<stores::UserNumber> Highlights::number_of(std::string_view user) const {
  POLDER_TRY(const auto number, names_.find(stores::NameKind::kUser, user));
  if (!number) return fail(ErrorCode::kInternal, "a member without number");
  return *number;
}

// Who joins has nothing to read of what was before.
Status Highlights::mark_joined(const rooms::StoredEvent& event, const rooms::StateChange& change,
                               kv::Batch& batch) const {
  if (change.type != "m.room.member" || !change.after || change.after->membership() != "join")
    return {};
  if (change.before && change.before->membership() == "join") return {};
  const auto user = UserId::parse(change.key);
  if (!user.ok() || user->server() != own_name_.view()) return {};
  POLDER_TRY(const auto number, number_of(change.key));
  stores::put_read_up_to(batch, event.place.room, number, {}, *event.slot);
  return {};
}

Status Highlights::contribute(const rooms::StoredEvent& event,
                              const std::vector<rooms::StateChange>& changes, kv::Batch& batch) {
  for (const rooms::StateChange& change : changes)
    POLDER_CHECK(mark_joined(event, change, batch));
  const rooms::Notification& notification = event.notification;
  if (notification.thread.empty()) return {};
  const stores::RoomNumber room = event.place.room;
  if (notification.highlights)
    stores::put_highlight(batch, room, 0, *event.slot, notification.thread, notification.notifies);
  for (const UserId& user : notification.mentioned) {
    POLDER_TRY(const auto number, number_of(user.view()));
    stores::put_highlight(batch, room, number, *event.slot, notification.thread,
                          notification.notifies);
  }
  // "When the user updates their read receipt (either by using the API or by sending an event)":
  // but memberships are also sent by the server, when a profile changes.
  const bool read =
      event.event->sender().server() == own_name_.view() && !event.event->is("m.room.member");
  if (!read) return {};
  // Who creates a room is no member yet.
  POLDER_TRY(const auto sender, names_.find(stores::NameKind::kUser, event.event->sender().view()));
  if (sender) stores::put_read_up_to(batch, room, *sender, notification.thread, *event.slot);
  return {};
}

}  // namespace polder::push
