#include "homeserver/rooms/read/restricted.h"

#include "homeserver/protocol/dag/power_levels.h"
#include "homeserver/rooms/model/local_members.h"

namespace polder::rooms {
namespace {

using stores::Membership;

constexpr size_t kConditionsMax = 100;
constexpr size_t kLocalMembersMax = 100;  // looked at for one who may invite

// What a condition says of a user; nothing if it cannot be checked here, or is none.
Result<std::optional<bool>> holds(const RoomSource& rooms, const json::Value& condition,
                                  const UserId& user) {
  const json::Object* allow = condition.as_object();
  const std::string* type = allow != nullptr ? allow->find_string("type") : nullptr;
  const std::string* named = allow != nullptr ? allow->find_string("room_id") : nullptr;
  // "Unknown types are ignored."
  if (type == nullptr || named == nullptr || *type != "m.room_membership")
    return std::optional(false);
  const auto id = RoomId::parse(*named);
  if (!id.ok()) return std::optional(false);
  POLDER_TRY(const auto head, rooms.head(*id));
  if (!head || !head->record.local_joined) return std::optional<bool>();
  // A reader of its own: the snapshot of one that is older than this head need not have its state.
  const RoomReader allowed(rooms, head);
  POLDER_TRY(const auto membership, allowed.membership_at(head->record.state, user.view()));
  return std::optional(membership == Membership::kJoin);
}

Result<RestrictedJoin> check_conditions(const RoomSource& rooms, const json::Array* conditions,
                                        const UserId& user) {
  bool unknown = false;
  size_t checked = 0;
  if (conditions == nullptr) return RestrictedJoin::kRefused;
  for (const json::Value& condition : *conditions) {
    if (++checked > kConditionsMax) break;
    POLDER_TRY(const auto held, holds(rooms, condition, user));
    if (held && *held) return RestrictedJoin::kGranted;
    if (!held) unknown = true;
  }
  return unknown ? RestrictedJoin::kUnknown : RestrictedJoin::kRefused;
}

// Those whom the levels raise above others.
std::vector<std::string> powerful(const events::Event& create, const events::Event* levels) {
  std::vector<std::string> users = {create.sender().str(), std::string(dag::room_creator(create))};
  if (const json::Array* creators = create.content().find_array("additional_creators")) {
    for (const json::Value& user : *creators)
      if (user.as_string() != nullptr) users.push_back(*user.as_string());
  }
  const json::Object* named = levels != nullptr ? levels->content().find_object("users") : nullptr;
  if (named == nullptr) return users;
  for (const auto& [user, level] : *named)
    users.push_back(user);
  return users;
}

// A joined user of this server who may invite. Of a large room not all members are looked at: where
// not everybody may invite, the levels name who may.
Result<std::optional<UserId>> find_authoriser(const RoomSource& rooms, const RoomReader& room) {
  const stores::StateRoot root = room.head().record.state;
  const RoomView sent = room.as_sent();
  POLDER_TRY(const auto create, sent.state_event(root, "m.room.create", ""));
  POLDER_TRY(const auto levels, sent.state_event(root, "m.room.power_levels", ""));
  if (!create) return fail(ErrorCode::kCorrupt, "a room has no create event");
  const dag::PowerLevels power(*create, levels.get());
  const ServerName& own_name = rooms.own_name;
  for (const std::string& name : powerful(*create, levels.get())) {
    auto user = UserId::parse(name);
    if (!user.ok() || user->server() != own_name.view() || power.user(name) < power.invite())
      continue;
    POLDER_TRY(const auto membership, room.membership_at(root, name));
    if (membership == Membership::kJoin) return std::optional(*std::move(user));
  }
  if (power.user("") < power.invite()) return std::optional<UserId>();
  POLDER_TRY(const auto members, local_members(sent, own_name, root, kLocalMembersMax));
  for (const UserId& user : members) {
    if (power.user(user.view()) >= power.invite()) return std::optional(user);
  }
  return std::optional<UserId>();
}

}  // namespace

Result<RestrictedAnswer> restricted_join(const RoomSource& rooms, const RoomReader& room,
                                         const UserId& user) {
  RestrictedAnswer answer;
  const stores::StateRoot root = room.head().record.state;
  POLDER_TRY(const auto rules, room.state_event(root, "m.room.join_rules", ""));
  const std::string* rule = rules ? rules->content().find_string("join_rule") : nullptr;
  const events::RoomVersionRules& version = *room.head().rules;
  const bool restricted =
      rule != nullptr && ((*rule == "restricted" && version.restricted_joins) ||
                          (*rule == "knock_restricted" && version.knock_restricted));
  POLDER_TRY(const Membership now, room.membership_at(root, user.view()));
  if (!restricted || now == Membership::kInvite || now == Membership::kJoin) return answer;
  POLDER_TRY(answer.join, check_conditions(rooms, rules->content().find_array("allow"), user));
  if (answer.join != RestrictedJoin::kGranted) return answer;
  POLDER_TRY(answer.authoriser, find_authoriser(rooms, room));
  if (!answer.authoriser) answer.join = RestrictedJoin::kNoAuthoriser;
  return answer;
}

}  // namespace polder::rooms
