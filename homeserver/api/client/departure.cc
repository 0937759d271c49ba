#include "homeserver/api/client/departure.h"
#include "federation/entry/entry.h"

namespace polder::client_api {
namespace {

using stores::Membership;

Result<std::vector<RoomId>> rooms_of(const Api& api, const UserId& user) {
  std::vector<RoomId> rooms;
  const stores::Names& names = api.rooms.names;
  POLDER_TRY(const auto number, names.find(stores::NameKind::kUser, user.view()));
  if (!number) return rooms;
  POLDER_TRY(const auto rows, stores::read_rooms_of(*api.database.snapshot(), *number));
  for (const auto& [room, row] : rows) {
    if (row.membership == Membership::kLeave || row.membership == Membership::kBan) continue;
    POLDER_TRY(std::string name, names.name(stores::NameKind::kRoom, room));
    rooms.push_back(RoomId::trusted(std::move(name)));
  }
  return rooms;
}

Task<Status> leave_all(const Api& api, UserId user) {
  POLDER_CO_TRY(const auto rooms, co_await runtime::on_pool(
                                      api.runtime, [&api, user] { return rooms_of(api, user); }));
  Status outcome;
  for (const RoomId& room : rooms) {
    const policy::Actor server = policy::Server{api.accounts.parts().own_name};
    const Status left = co_await api.entry.leave({user, room, {}, {}, server});
    if (!left.ok() && left.error().code != ErrorCode::kForbidden) outcome = left;
  }
  if (!outcome.ok()) co_return outcome;
  co_return co_await api.accounts.left_all_rooms(std::move(user));
}

}  // namespace

Task<void> leave_rooms_of_deactivated(const Api& api) {
  const auto users = co_await api.accounts.leaving();
  if (!users.ok()) {
    api.runtime.log().error("departure_failed", {{"reason", users.error().message}});
    co_return;
  }
  for (const UserId& user : *users) {
    const Status left = co_await leave_all(api, user);
    if (!left.ok())
      api.runtime.log().warning("departure_failed",
                                {{"user", user}, {"reason", left.error().message}});
  }
}

}  // namespace polder::client_api
