#include "homeserver/api/client/guest_departure.h"

#include <algorithm>

#include "federation/entry/entry.h"
#include "homeserver/rooms/read/reader.h"
#include "storage/stores/users/user_rows.h"

namespace polder::client_api {
namespace {

using rooms::RoomReader;
using stores::Membership;

bool lets_guests_in(const events::EventPtr& access) {
  const std::string* value = access ? access->content().find_string("guest_access") : nullptr;
  return value != nullptr && *value == "can_join";
}

Result<bool> lets_guests_in(const RoomReader& reader) {
  POLDER_TRY(const auto access,
             reader.state_event(reader.head().record.state, "m.room.guest_access", ""));
  return lets_guests_in(access);
}

struct Departure {
  UserId user;
  RoomId room;
};

Result<bool> is_guest(const RoomReader& reader, std::string_view user) {
  POLDER_TRY(const auto number, reader.view().names().find(stores::NameKind::kUser, user));
  if (!number) return false;
  POLDER_TRY(const auto account, stores::read_account(reader.snapshot(), *number));
  return account && account->guest;
}

// The guests who are in a room that does not let guests in any more.
Result<std::vector<Departure>> guests_in(const Api& api, stores::RoomNumber room) {
  std::vector<Departure> guests;
  const auto head = api.rooms.head(room);
  if (!head) return guests;
  const RoomReader reader(api.rooms, head);
  POLDER_TRY(const bool open, lets_guests_in(reader));
  if (open) return guests;
  std::vector<UserId> members;
  POLDER_CHECK(reader.for_each_state(
      head->record.state, "m.room.member", [&](stores::EventNumber, const rooms::HeldEvent& held) {
        auto user = UserId::parse(*held.event->state_key());
        if (user.ok() && api.accounts.is_local(*user) && held.event->membership() == "join")
          members.push_back(*std::move(user));
      }));
  for (UserId& user : members) {
    POLDER_TRY(const bool guest, is_guest(reader, user.view()));
    if (guest) guests.push_back({std::move(user), head->record.id});
  }
  return guests;
}

// The rooms that guests are in and that do not let guests in.
Result<std::vector<stores::RoomNumber>> rooms_to_look_at(const Api& api) {
  std::vector<stores::RoomNumber> found;
  const auto snapshot = api.database.snapshot();
  POLDER_CHECK(stores::for_each_account(
      *snapshot, [&](stores::UserNumber user, const stores::AccountRow& account) -> Status {
        if (!account.guest || account.deactivated) return {};
        POLDER_TRY(const auto rows, stores::read_rooms_of(*snapshot, user));
        for (const auto& [room, row] : rows) {
          if (row.membership == Membership::kJoin) found.push_back(room);
        }
        return {};
      }));
  std::ranges::sort(found);
  const auto [first, last] = std::ranges::unique(found);
  found.erase(first, last);
  return found;
}

}  // namespace

void GuestDeparture::committed(const rooms::StoredEvent& event, rooms::Verdict,
                               const std::vector<rooms::StateChange>& changes) {
  for (const rooms::StateChange& change : changes) {
    if (change.type != "m.room.guest_access" || !change.key.empty()) continue;
    if (!lets_guests_in(change.before) || lets_guests_in(change.after)) continue;
    runtime::spawn(api_.runtime, api_.runtime.shard(api_.runtime.current_shard()),
                   "guest_departure", leave_room(event.place.room));
  }
}

Task<void> GuestDeparture::leave_room(stores::RoomNumber room) const {
  const Api& api = api_;
  const auto guests = co_await runtime::on_pool(api.runtime, runtime::Lane::kLong,
                                                [&api, room] { return guests_in(api, room); });
  if (!guests.ok()) {
    api.runtime.log().warning("guest_departure_failed", {{"reason", guests.error().message}});
    co_return;
  }
  const policy::Actor server = policy::Server{api.accounts.parts().own_name};
  for (const Departure& guest : *guests) {
    const Status left = co_await api.entry.leave({guest.user, guest.room, {}, {}, server});
    if (!left.ok())
      api.runtime.log().warning("guest_departure_failed",
                                {{"user", guest.user}, {"reason", left.error().message}});
  }
}

Task<void> GuestDeparture::run() const {
  const Api& api = api_;
  const auto rooms = co_await runtime::on_pool(api.runtime, runtime::Lane::kLong,
                                               [&api] { return rooms_to_look_at(api); });
  if (!rooms.ok()) {
    api.runtime.log().warning("guest_departure_failed", {{"reason", rooms.error().message}});
    co_return;
  }
  for (const stores::RoomNumber room : *rooms)
    co_await leave_room(room);
}

}  // namespace polder::client_api
