#include "homeserver/api/client/profiles.h"

#include "homeserver/api/client/membership.h"
#include "homeserver/rooms/read/reader.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::client_api {
namespace {

json::Object joined_with(const stores::AccountRow& account) {
  json::Object content{{"membership", "join"}};
  if (!account.displayname.empty()) content.set("displayname", account.displayname);
  if (!account.avatar_url.empty()) content.set("avatar_url", account.avatar_url);
  return content;
}

Task<Status> send_to_room(const Api& api, UserId user, RoomId room, json::Object content) {
  rooms::LocalEvent event;
  event.sender = user;
  event.type = "m.room.member";
  event.state_key = user.str();
  event.content = std::move(content);
  event.while_joined = true;
  const auto sent = co_await api.writer.send(room, std::move(event));
  if (!sent.ok())
    api.runtime.log().info("profile_not_sent", {{"room", room}, {"reason", sent.error().message}});
  co_return Status();
}

// Whether two memberships show the same profile.
bool shows_the_same(const json::Object& one, const json::Object& other) {
  const auto same = [&](std::string_view field) {
    const std::string* a = one.find_string(field);
    const std::string* b = other.find_string(field);
    return (a == nullptr) == (b == nullptr) && (a == nullptr || *a == *b);
  };
  return same("displayname") && same("avatar_url");
}

// The rooms in which the user is shown otherwise than with this membership.
Result<std::vector<RoomId>> rooms_to_tell(const Api& api, stores::UserNumber user,
                                          const json::Object& membership) {
  std::vector<RoomId> found;
  POLDER_TRY(const auto rows, stores::read_rooms_of(*api.database.snapshot(), user));
  for (const auto& [room, row] : rows) {
    const auto head = api.rooms.head(room);
    if (row.membership != stores::Membership::kJoin || !head) continue;
    const rooms::RoomReader reader(api.rooms, head);
    POLDER_TRY(const rooms::HeldEvent held, reader.view().load(row.event));
    if (!shows_the_same(held.event->content(), membership)) found.push_back(head->record.id);
  }
  return found;
}

// A user's rooms show the profile that the user's membership carries: each is sent anew, where it
// shows another.
Task<Status> send_to_rooms(const Api& api, UserId user, stores::UserNumber number) {
  POLDER_CO_TRY(const auto account, co_await api.accounts.account(user));
  const json::Object membership = joined_with(account);
  POLDER_CO_TRY(const auto rooms,
                co_await runtime::on_pool(api.runtime, [&api, number, membership] {
                  return rooms_to_tell(api, number, membership);
                }));
  for (const RoomId& room : rooms)
    POLDER_CO_CHECK(co_await send_to_room(api, user, room, membership));
  co_return Status();
}

Task<Status> change_in_turn(const Api& api, users::Session session, ProfileChange change) {
  POLDER_CO_CHECK(
      co_await api.accounts.set_profile(session.user, change.displayname, change.avatar_url));
  co_return co_await send_to_rooms(api, session.user, session.number);
}

Task<Status> renew_in_turn(const Api& api, users::Session session, RoomId room,
                           json::Object entered_with) {
  POLDER_CO_TRY(const auto account, co_await api.accounts.account(session.user));
  json::Object now = joined_with(account);
  if (shows_the_same(entered_with, now)) co_return Status();
  POLDER_CO_TRY(const auto membership,
                co_await current_membership(api, room, session.user, session.user));
  if (membership != stores::Membership::kJoin) co_return Status();
  co_return co_await send_to_room(api, session.user, std::move(room), std::move(now));
}

}  // namespace

Task<Status> change_profile(const Api& api, users::Session session, ProfileChange change) {
  auto make = [&api, session, change] { return change_in_turn(api, session, change); };
  co_return co_await api.profile_turns.in_turn(session.number, std::move(make));
}

Task<Status> renew_profile(const Api& api, users::Session session, RoomId room,
                           json::Object entered_with) {
  auto make = [&api, session, room, entered_with] {
    return renew_in_turn(api, session, room, entered_with);
  };
  co_return co_await api.profile_turns.in_turn(session.number, std::move(make));
}

}  // namespace polder::client_api
