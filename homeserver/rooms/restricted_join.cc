#include "homeserver/rooms/restricted_join.h"

#include "homeserver/dag/power_levels.h"

namespace polder::rooms {
namespace {

using stores::Membership;

constexpr size_t kConditionsMax = 100;  // looked at; an event has room for more

enum class Condition : uint8_t { kMet, kNotMet, kCannotTell };

// "m.room_membership": the user is joined to that room. Other types fail.
Result<Condition> check_condition(const RoomEngine& engine, const kv::Snapshot& snapshot,
                                  const json::Value& condition, const UserId& user) {
  const json::Object* object = condition.as_object();
  const std::string* type = object != nullptr ? object->find_string("type") : nullptr;
  const std::string* id = object != nullptr ? object->find_string("room_id") : nullptr;
  if (type == nullptr || *type != "m.room_membership" || id == nullptr) return Condition::kNotMet;
  const auto room = RoomId::parse(*id);
  if (!room.ok()) return Condition::kNotMet;
  POLDER_TRY(const RoomHeadPtr head, engine.head(*room));
  // What is known of a room that this server has left is old.
  if (!head || !head->record.local_joined) return Condition::kCannotTell;
  POLDER_TRY(const auto number, engine.parts().names.find(stores::NameKind::kUser, user.view()));
  if (!number) return Condition::kNotMet;
  POLDER_TRY(const auto row, stores::read_membership(snapshot, *number, head->number));
  return row && row->membership == Membership::kJoin ? Condition::kMet : Condition::kNotMet;
}

// A joined user of this server with the level to invite: of those whom the levels name, and if
// everyone has that level, any.
Result<std::optional<UserId>> find_authoriser(const RoomReader& room, const ServerName& own_name) {
  const stores::StateRoot root = room.head().record.state;
  POLDER_TRY(const auto create, room.state_event(root, "m.room.create", ""));
  POLDER_TRY(const auto levels, room.state_event(root, "m.room.power_levels", ""));
  if (!create) return fail(ErrorCode::kCorrupt, "a room has no create event");
  std::vector<UserId> candidates = {create->sender()};
  const auto add = [&](const std::string& name) {
    const auto user = UserId::parse(name);
    if (user.ok()) candidates.push_back(*user);
  };
  if (const json::Array* more = create->content().find_array("additional_creators")) {
    for (const json::Value& name : *more) {
      if (name.as_string() != nullptr) add(*name.as_string());
    }
  }
  const json::Object* named = levels ? levels->content().find_object("users") : nullptr;
  if (named != nullptr) {
    for (const auto& [name, level] : *named)
      add(name);
  }
  for (const UserId& user : candidates) {
    if (user.server() != own_name.view()) continue;
    POLDER_TRY(const bool may, may_vouch(room, user));
    if (may) return std::optional(user);
  }
  const dag::PowerLevels power(*create, levels.get());
  std::optional<UserId> anyone;
  // A user whom no event names has the default level; there is none whose name is empty.
  if (power.user("") < power.invite()) return anyone;
  POLDER_CHECK(room.for_each_state(root, "m.room.member", [&](EventNumber, const HeldEvent& held) {
    const auto user = UserId::parse(held.event->state_key().value_or(""));
    if (anyone || !user.ok() || user->server() != own_name.view()) return;
    if (held.event->membership() == "join" && power.user(user->view()) >= power.invite())
      anyone = *user;
  }));
  return anyone;
}

}  // namespace

Result<bool> may_vouch(const RoomReader& room, const UserId& user) {
  const stores::StateRoot root = room.head().record.state;
  POLDER_TRY(const Membership membership, room.membership_at(root, user.view()));
  if (membership != Membership::kJoin) return false;
  POLDER_TRY(const auto create, room.state_event(root, "m.room.create", ""));
  POLDER_TRY(const auto levels, room.state_event(root, "m.room.power_levels", ""));
  if (!create) return fail(ErrorCode::kCorrupt, "a room has no create event");
  const dag::PowerLevels power(*create, levels.get());
  return power.user(user.view()) >= power.invite();
}

Result<RestrictedOutcome> restricted_join(const RoomEngine& engine, const RoomReader& room,
                                          const UserId& user) {
  RestrictedOutcome result;
  const events::RoomVersionRules& rules = *room.head().rules;
  const stores::StateRoot root = room.head().record.state;
  POLDER_TRY(const auto event, room.state_event(root, "m.room.join_rules", ""));
  const std::string* rule = event ? event->content().find_string("join_rule") : nullptr;
  const bool restricted =
      rule != nullptr && ((rules.restricted_joins && *rule == "restricted") ||
                          (rules.knock_restricted && *rule == "knock_restricted"));
  if (!restricted) return result;
  POLDER_TRY(const Membership membership, room.membership_at(root, user.view()));
  if (membership == Membership::kInvite || membership == Membership::kJoin) return result;
  const json::Array* conditions = event->content().find_array("allow");
  result.outcome = RestrictedJoin::kConditionFails;
  if (conditions == nullptr) return result;
  for (size_t i = 0; i < std::min(conditions->size(), kConditionsMax); ++i) {
    POLDER_TRY(const Condition condition,
               check_condition(engine, room.snapshot(), (*conditions)[i], user));
    if (condition == Condition::kCannotTell) result.outcome = RestrictedJoin::kCannotTell;
    if (condition != Condition::kMet) continue;
    POLDER_TRY(result.authoriser, find_authoriser(room, engine.parts().own_name));
    result.outcome = result.authoriser ? RestrictedJoin::kAuthorised : RestrictedJoin::kCannotGrant;
    return result;
  }
  return result;
}

}  // namespace polder::rooms
