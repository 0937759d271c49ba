// https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room
#include "federation/entry/answers.h"
#include "federation/entry/entry.h"
#include "homeserver/rooms/read/reader.h"

namespace polder::entry {

// "MUST contain the m.room.create event for the room. All events listed MUST additionally be
// formatted according to the room version specification."
Task<Result<json::Array>> RoomEntry::invite_state(UserId inviter, RoomId room) const {
  const rooms::RoomSource* rooms = &rooms_;
  co_return co_await runtime::on_pool(runtime(), [rooms, inviter, room]() -> Result<json::Array> {
    POLDER_TRY(const auto head, rooms->head(room));
    if (!head) return fail(ErrorCode::kNotFound, "no such room here");
    const rooms::RoomReader reader(*rooms, head);
    POLDER_TRY(auto shown, reader.stripped_events(head->record.state));
    POLDER_TRY(auto member,
               reader.state_event(head->record.state, "m.room.member", inviter.view()));
    if (member) shown.push_back(std::move(member));
    json::Array state;
    for (const events::EventPtr& event : shown)
      state.emplace_back(event->object());
    return state;
  });
}

Task<Status> RoomEntry::invite(MembershipRequest request, UserId target) {
  const ServerName invited = ServerName::trusted(std::string(target.server()));
  if (invited == rooms_.own_name)
    co_return co_await send_locally(std::move(request), std::move(target), "invite");
  rooms::LocalEvent event;
  event.sender = request.user;
  event.type = "m.room.member";
  event.state_key = target.str();
  event.content = std::move(request.content);
  event.content.set("membership", "invite");
  event.actor = request.actor;
  POLDER_CO_TRY(const auto prepared, co_await writer_.prepare(request.room, std::move(event)));
  POLDER_CO_TRY(auto state, co_await invite_state(request.user, request.room));
  auto answer = co_await federation_.invite(invited, prepared, std::move(state));
  if (!answer.ok() && answer.error().code == ErrorCode::kInvalid)
    co_return fail(ErrorCode::kUnavailable, answer.error().message);
  if (!answer.ok()) co_return std::move(answer).error();
  POLDER_CO_TRY(const auto both, signed_invite(*prepared, **answer, invited));
  POLDER_CO_CHECK(co_await writer_.verify_signature(both, invited));
  POLDER_CO_CHECK(co_await writer_.store_prepared(both));
  co_return Status();
}

}  // namespace polder::entry
