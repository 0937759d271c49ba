// https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
#include "federation/entry/answers.h"
#include "federation/entry/entry.h"
#include "federation/entry/line.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::entry {

using rooms::RestrictedJoin;

Task<Status> RoomEntry::join(MembershipRequest request) {
  return on_shard(std::move(request), &RoomEntry::join_once);
}

// Clients ask again while the first request is under way: both get its outcome.
Task<Status> RoomEntry::join_once(MembershipRequest request) {
  InLine line(runtime(), *shards_[shard_of(request.room)], request.room);
  const std::pair same_wish(request.user, request.via);
  if (const auto found = line->joins.find(same_wish); found != line->joins.end()) {
    const std::shared_ptr<Joining> same = found->second;
    while (!same->outcome)
      co_await same->ended.wait();
    co_return *same->outcome;
  }
  const auto joining = std::make_shared<Joining>(runtime());
  line->joins.emplace(same_wish, joining);
  {
    const auto turn = co_await line->queue.turn();
    joining->outcome = co_await join_in_turn(std::move(request));
  }
  line->joins.erase(same_wish);
  joining->ended.notify_all();
  co_return *joining->outcome;
}

Task<Status> RoomEntry::join_in_turn(MembershipRequest request) {
  POLDER_CO_TRY(EntryContext context, co_await context_of(request.user, request.room));
  if (!context.followed)
    co_return co_await through_some_server(policy::Point::kJoin, std::move(request),
                                           std::move(context), &RoomEntry::join_through);
  if (context.membership == stores::Membership::kJoin) co_return Status();
  // https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms: who meets a condition needs
  // a server whose user may invite.
  if (context.restricted.join == RestrictedJoin::kNoAuthoriser)
    co_return co_await through_some_server(policy::Point::kJoin, std::move(request),
                                           std::move(context), &RoomEntry::join_through);
  json::Object content = request.content;
  if (context.restricted.authoriser)
    content.set("join_authorised_via_users_server", context.restricted.authoriser->str());
  co_return co_await enter_from_within(policy::Point::kJoin, std::move(request), std::move(content),
                                       &RoomEntry::join_through);
}

Task<Status> RoomEntry::join_through(ServerName server, MembershipRequest request,
                                     EntryContext context) {
  POLDER_CO_TRY(const auto at, co_await federation_.make_join(server, request.room, request.user));
  POLDER_CO_TRY(events::EventPtr join, build(at, request, "join"));
  const rooms::EnteringRooms::Mark entering(writer_.entering(), request.room, *at.rules);
  POLDER_CO_TRY(auto answer, co_await federation_.send_join(server, join, false));
  // Nobody asked for less than the whole state.
  if (answer.members_omitted)
    co_return fail(ErrorCode::kInvalid, "answer to the join: members are omitted");
  if (answer.event) {
    POLDER_CO_TRY(join, signed_join(*join, *answer.event));
  }
  if (!context.followed) co_return co_await enter(server, *at.rules, join, std::move(answer));
  POLDER_CO_TRY(const auto received, co_await writer_.receive(server, join));
  if (received.verdict != rooms::Verdict::kAccepted)
    co_return fail(ErrorCode::kForbidden, received.refusal);
  co_return Status();
}

// Everything that the resident server told is verified as what comes in transactions is; what is
// badly signed is dropped, and the room is entered only if what is left can be its state. It may be
// a part of it: of a large state the engine takes most in later, and it asks for what cannot be
// verified yet once the missing keys can be had.
Task<Status> RoomEntry::enter(ServerName server, const events::RoomVersionRules& rules,
                              events::EventPtr join, client::SentJoin answer) {
  POLDER_CO_TRY(join, co_await writer_.verify(join));
  const auto sorted = co_await writer_.sort(std::move(answer.state), rules, join->room_id());
  const size_t large = writer_.steps().large_state;
  rooms::RemoteState first = co_await runtime::on_pool(
      runtime(), [sorted, join, large] { return sorted->take_first(*join, large); });
  auto verified = co_await writer_.verify_all(std::move(first.state), rules, join->room_id());
  auto chain = co_await writer_.verify_all(std::move(first.auth_chain), rules, join->room_id());
  rooms::ImportedState state;
  const bool undecided = verified.undecided || chain.undecided;
  if (undecided || !sorted->empty()) {
    state.partial.emplace();
    state.partial->since_ms = runtime().clock().wall_ms();
    state.partial->servers.push_back(std::move(server));
    for (ServerName& member : sorted->servers())
      state.partial->servers.push_back(std::move(member));
  }
  // What could not be decided is asked for again, and so is then what depends on it.
  if (!undecided && !sorted->empty()) state.rest = sorted;
  state.state = std::move(verified.good);
  state.auth_chain = std::move(chain.good);
  const auto checked = std::make_shared<rooms::ImportedState>(std::move(state));
  POLDER_CO_CHECK(co_await runtime::on_pool(
      runtime(), [join, checked] { return check_joined_state(*join, *checked); }));
  POLDER_CO_CHECK(co_await writer_.enter(rules, std::move(*checked), join));
  co_return Status();
}

}  // namespace polder::entry
