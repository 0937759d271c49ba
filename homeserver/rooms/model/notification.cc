#include "homeserver/rooms/model/notification.h"

#include <set>

#include "homeserver/protocol/dag/power_levels.h"
#include "homeserver/rooms/model/event_thread.h"
#include "storage/stores/rooms/push_rows.h"

namespace polder::rooms {
namespace {

// Those of m.mentions that are local and joined, each once.
Result<std::set<UserId>> mentioned_members(const NotificationQuestion& question,
                                           const RoomView& view) {
  std::set<UserId> members;
  const json::Value* ids = json::at(question.event.content(), {"m.mentions", "user_ids"});
  if (ids == nullptr || ids->as_array() == nullptr) return members;
  for (const json::Value& id : *ids->as_array()) {
    if (id.as_string() == nullptr) continue;
    const auto user = UserId::parse(*id.as_string());
    if (!user.ok() || user->server() != question.own_name.view()) continue;
    if (*user == question.event.sender() || members.contains(*user)) continue;
    POLDER_TRY(const auto member,
               view.state_event(question.current, "m.room.member", user->view()));
    if (member && member->membership() == "join") members.insert(*user);
  }
  return members;
}

}  // namespace

Result<bool> may_notify(const events::Event& event, stores::StateRoot state, std::string_view key,
                        const RoomView& view) {
  POLDER_TRY(const auto create, view.state_event(state, "m.room.create", ""));
  POLDER_TRY(const auto levels, view.state_event(state, "m.room.power_levels", ""));
  if (!create) return false;
  const dag::PowerLevels power(*create, levels.get());
  return power.user(event.sender().view()) >= power.notification(key);
}

Result<Notification> notification_of(const NotificationQuestion& question, const RoomView& view) {
  Notification notification;
  POLDER_TRY(notification.thread, thread_of(question.event, view));
  std::optional<Error> failure;
  const push_rules::EventContext context{question.event.object(), question.event.room_id().view(),
                                         question.members, [&](std::string_view key) {
                                           const auto may = may_notify(question.event,
                                                                       question.before, key, view);
                                           if (!may.ok()) failure = may.error();
                                           return may.ok() && *may;
                                         }};
  // What happens to nobody in particular happens to every member.
  const push_rules::Outcome all = question.rules.evaluate(context, {});
  notification.notifies = all.notify;
  notification.highlights = all.highlight;
  if (!all.highlight) {
    POLDER_TRY(const auto members, mentioned_members(question, view));
    for (const UserId& user : members) {
      if (question.rules.evaluate(context, {user.view(), {}}).highlight)
        notification.mentioned.push_back(user);
    }
  }
  if (failure) return *failure;
  return notification;
}

void put_notification(kv::Batch& batch, RoomNumber room, kv::PositionSlot slot,
                      const Notification& notification, stores::RoomRecord& record) {
  if (!notification.notifies) return;
  if (notification.thread == kMainThread) {
    stores::put_notifying(batch, room, slot, ++record.notifying);
  } else {
    stores::put_notifying_in_thread(batch, room, slot, notification.thread);
  }
}

}  // namespace polder::rooms
