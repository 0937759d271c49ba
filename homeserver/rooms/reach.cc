#include "homeserver/rooms/reach.h"

#include <set>

#include "homeserver/protocol/dag/power_levels.h"
#include "storage/stores/rooms/push_rows.h"
#include "storage/stores/rooms/relation_rows.h"

namespace polder::rooms {
namespace {

constexpr int kHopsMax = 3;

struct RelatesTo {
  std::string_view rel_type;
  std::optional<EventId> parent;
};

RelatesTo relation_of(const events::Event& event) {
  RelatesTo relation;
  const json::Object* relates_to = event.content().find_object("m.relates_to");
  const std::string* rel_type =
      relates_to == nullptr ? nullptr : relates_to->find_string("rel_type");
  const std::string* id = relates_to == nullptr ? nullptr : relates_to->find_string("event_id");
  if (rel_type == nullptr || id == nullptr || event.is_state()) return relation;
  auto parsed = EventId::parse(*id);
  if (!parsed.ok()) return relation;
  relation.rel_type = *rel_type;
  relation.parent = *std::move(parsed);
  return relation;
}

// Those of m.mentions that are local and joined, each once.
Result<std::set<UserId>> mentioned_members(const ReachQuestion& question, const RoomView& view) {
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

Result<std::string> thread_of(const events::Event& event, const RoomView& view) {
  RelatesTo relation = relation_of(event);
  events::EventPtr held;  // what the relation points into
  // "It is not recommended that the server traverse infinitely. Instead, implementations are
  // encouraged to do a maximum of 3 hops."
  for (int hop = 0; hop < kHopsMax && relation.parent; ++hop) {
    if (relation.rel_type == "m.thread") return relation.parent->str();
    POLDER_TRY(const auto parent, view.find(*relation.parent));
    if (!parent) break;
    POLDER_TRY(const HeldEvent loaded, view.load(*parent));
    held = loaded.event;
    relation = relation_of(*held);
  }
  if (relation.parent && relation.rel_type == "m.thread") return relation.parent->str();
  return std::string(kMainThread);
}

Result<bool> may_be_read_in(const events::Event& event, std::string_view thread, RoomNumber room,
                            const RoomView& view) {
  POLDER_TRY(const std::string own, thread_of(event, view));
  if (own == thread) return true;
  const auto root = EventId::parse(thread);
  if (own != kMainThread || !root.ok()) return false;
  EventId id = event.id();
  std::optional<EventId> parent = relation_of(event).parent;
  for (int hop = 0; hop < kHopsMax && id != *root && parent; ++hop) {
    id = *parent;
    POLDER_TRY(const auto number, view.find(id));
    if (!number) break;
    POLDER_TRY(const HeldEvent held, view.load(*number));
    parent = relation_of(*held.event).parent;
  }
  if (id != *root) return false;
  POLDER_TRY(const auto begun, stores::read_thread(view.snapshot(), room, *root));
  return begun.has_value();
}

Result<bool> may_notify(const events::Event& event, stores::StateRoot state, std::string_view key,
                        const RoomView& view) {
  POLDER_TRY(const auto create, view.state_event(state, "m.room.create", ""));
  POLDER_TRY(const auto levels, view.state_event(state, "m.room.power_levels", ""));
  if (!create) return false;
  const dag::PowerLevels power(*create, levels.get());
  return power.user(event.sender().view()) >= power.notification(key);
}

Result<Reach> reach_of(const ReachQuestion& question, const RoomView& view) {
  Reach reach;
  POLDER_TRY(reach.thread, thread_of(question.event, view));
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
  reach.notifies = all.notify;
  reach.highlights = all.highlight;
  if (!all.highlight) {
    POLDER_TRY(const auto members, mentioned_members(question, view));
    for (const UserId& user : members) {
      if (question.rules.evaluate(context, {user.view(), {}}).highlight)
        reach.mentioned.push_back(user);
    }
  }
  if (failure) return *failure;
  return reach;
}

void put_reach(kv::Batch& batch, RoomNumber room, kv::PositionSlot slot, const Reach& reach,
               stores::RoomRecord& record) {
  if (!reach.notifies) return;
  if (reach.thread == kMainThread) {
    stores::put_notifying(batch, room, slot, ++record.notifying);
  } else {
    stores::put_notifying_in_thread(batch, room, slot, reach.thread);
  }
}

}  // namespace polder::rooms
