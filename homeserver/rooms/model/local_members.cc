#include "homeserver/rooms/model/local_members.h"

#include <algorithm>

namespace polder::rooms {

Result<std::vector<UserId>> local_members(const RoomView& view, const ServerName& own_name,
                                          stores::StateRoot state, size_t max) {
  std::vector<UserId> members;
  const auto add = [&](std::string_view name) -> Status {
    const auto user = UserId::parse(name);
    if (!user.ok() || user->server() != own_name.view() ||
        std::ranges::find(members, *user) != members.end())
      return {};
    POLDER_TRY(const auto event, view.state_event(state, "m.room.member", name));
    if (event && event->membership() == "join") members.push_back(*user);
    return {};
  };
  POLDER_TRY(const auto levels, view.state_event(state, "m.room.power_levels", ""));
  if (levels) {
    if (const json::Object* users = levels->content().find_object("users")) {
      for (const auto& [name, level] : *users)
        POLDER_CHECK(add(name));
    }
  }
  POLDER_TRY(const auto type, view.names().find(stores::NameKind::kType, "m.room.member"));
  if (!type) return members;
  Status failure;
  POLDER_CHECK(stores::state_for_each(
      view.nodes(), state, static_cast<uint32_t>(*type), [&](const stores::StateEntry& entry) {
        const auto name = view.names().name(stores::NameKind::kStateKey, entry.key.key);
        failure = name.ok() ? add(*name) : Status(name.error());
        return failure.ok() && members.size() < max;
      }));
  POLDER_CHECK(failure);
  return members;
}

}  // namespace polder::rooms
