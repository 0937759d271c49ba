#include "federation/entry/entry.h"

#include <algorithm>

#include "federation/entry/line.h"

namespace polder::entry {
namespace {

constexpr size_t kServersMax = 10;            // asked for one membership
constexpr std::chrono::minutes kDeadline{5};  // after it no further server is asked

// Which of several servers' refusals tells the most.
int weight(ErrorCode code) {
  switch (code) {
    case ErrorCode::kForbidden:
      return 3;
    case ErrorCode::kUnsupported:
      return 2;
    case ErrorCode::kNotFound:
      return 1;
    default:
      return 0;
  }
}

// "If M_MISSING_PARAM or M_INVALID_PARAM is returned and the request is associated with a
// Client-Server API request, the Client-Server API request SHOULD fail with a 5xx error": what this
// server and another made of each other's answers is none of the client's fault.
Error outcome(Error failure) {
  if (weight(failure.code) > 0) return failure;
  return fail(ErrorCode::kUnavailable, "No server that is in the room could help");
}

}  // namespace

RoomEntry::RoomEntry(rooms::RoomWriter& writer, client::FederationClient& federation)
    : writer_(writer),
      rooms_(writer.source()),
      federation_(federation),
      late_leaves_(writer.rooms().parts(), federation,
                   [this](stores::LateLeave leave) { return retry_leave(std::move(leave)); }) {
  for (size_t i = 0; i < runtime().shard_count(); ++i)
    shards_.push_back(std::make_unique<Shard>());
}

RoomEntry::~RoomEntry() = default;

size_t RoomEntry::shard_of(const RoomId& room) const {
  return std::hash<RoomId>()(room) % runtime().shard_count();
}

Task<Result<EntryContext>> RoomEntry::context_of(UserId user, RoomId room) const {
  const rooms::RoomSource* rooms = &rooms_;
  co_return co_await runtime::on_pool(
      runtime(), [rooms, user, room] { return find_context(*rooms, user, room); });
}

Task<Status> RoomEntry::on_shard(MembershipRequest request, Change change) {
  const size_t shard = shard_of(request.room);
  auto make = [this, request = std::move(request), change]() mutable {
    return (this->*change)(std::move(request));
  };
  co_return co_await runtime::on_shard(runtime(), shard, std::move(make));
}

Task<Status> RoomEntry::in_line(MembershipRequest request, Change change) {
  const size_t shard = shard_of(request.room);
  auto make = [this, request = std::move(request), change]() mutable {
    return in_line_here(std::move(request), change);
  };
  co_return co_await runtime::on_shard(runtime(), shard, std::move(make));
}

Task<Status> RoomEntry::in_line_here(MembershipRequest request, Change change) {
  InLine line(runtime(), *shards_[shard_of(request.room)], request.room);
  const auto turn = co_await line->queue.turn();
  co_return co_await (this->*change)(std::move(request));
}

// "The servers to attempt to join the room through": whoever names some means these, and besides
// them only the one that invited is asked; from within the room, those that are in it too.
std::vector<ServerName> RoomEntry::servers_for(const MembershipRequest& request,
                                               const EntryContext& context) const {
  std::vector<ServerName> servers;
  const auto add = [&](const ServerName& server) {
    const bool other =
        server != rooms_.own_name && std::ranges::find(servers, server) == servers.end();
    if (other && servers.size() < kServersMax) servers.push_back(server);
  };
  std::ranges::for_each(request.via, add);
  const bool named = !servers.empty();
  if (context.inviter) add(*context.inviter);
  if (!named || context.followed) std::ranges::for_each(context.servers, add);
  return servers;
}

// "Servers MUST only allow guest users to join rooms if the m.room.guest_access state event is
// present on the room, and has the guest_access value can_join": what the first server that answers
// says of it, before it has the guest's join.
Task<std::string> RoomEntry::guest_access_of(RoomId room, std::vector<ServerName> servers) {
  for (const ServerName& server : servers) {
    const auto told = co_await federation_.hierarchy(server, room, true);
    if (!told.ok()) continue;
    const bool can_join = told->find_object("room")->find_bool("guest_can_join").value_or(false);
    co_return can_join ? "can_join" : "";
  }
  co_return "";
}

Task<Status> RoomEntry::permit(policy::Point point, MembershipRequest request,
                               policy::Facts facts) {
  policy::Act act{.point = point, .room = request.room.str(), .target = request.user.str()};
  co_return co_await writer_.permit_act(std::move(act), std::move(request.actor),
                                        std::move(request.user), std::move(facts));
}

Task<Status> RoomEntry::through_some_server(policy::Point point, MembershipRequest request,
                                            EntryContext context, Attempt attempt) {
  std::vector<ServerName> servers = servers_for(request, context);
  policy::Facts facts;
  if (context.guest && point == policy::Point::kJoin)
    facts.guest_access = co_await guest_access_of(request.room, servers);
  POLDER_CO_CHECK(co_await permit(point, request, std::move(facts)));
  co_return co_await through_any_of(std::move(servers), std::move(request), std::move(context),
                                    attempt);
}

Task<Status> RoomEntry::through_any_of(std::vector<ServerName> servers, MembershipRequest request,
                                       EntryContext context, Attempt attempt) {
  const auto deadline = runtime().clock().steady() + kDeadline;
  Error failure = fail(ErrorCode::kNotFound, "no server is known that is in the room");
  bool first = true;
  for (const ServerName& server : servers) {
    if (runtime().clock().steady() >= deadline) break;
    Status status = co_await (this->*attempt)(server, request, context);
    if (status.ok()) co_return status;
    runtime().log().info(
        "membership_not_through",
        {{"room", request.room}, {"server", server}, {"reason", status.error().message}});
    if (first || weight(status.error().code) > weight(failure.code)) failure = status.error();
    first = false;
  }
  co_return outcome(std::move(failure));
}

Task<Status> RoomEntry::send_locally(MembershipRequest request, UserId target,
                                     std::string membership) {
  rooms::LocalEvent event;
  event.sender = request.user;
  event.type = "m.room.member";
  event.state_key = target.str();
  event.content = std::move(request.content);
  event.content.set("membership", std::move(membership));
  event.actor = std::move(request.actor);
  POLDER_CO_CHECK(co_await writer_.send(std::move(request.room), std::move(event)));
  co_return Status();
}

Task<Status> RoomEntry::enter_from_within(policy::Point point, MembershipRequest request,
                                          json::Object content, Attempt attempt) {
  MembershipRequest own = request;
  own.content = std::move(content);
  const Status sent = co_await send_locally(std::move(own), request.user,
                                            point == policy::Point::kJoin ? "join" : "knock");
  if (sent.ok() || sent.error().code != ErrorCode::kNotFound) co_return sent;
  POLDER_CO_TRY(EntryContext context, co_await context_of(request.user, request.room));
  context.followed = false;  // even if readers do not know yet
  co_return co_await through_some_server(point, std::move(request), std::move(context), attempt);
}

Result<events::EventPtr> RoomEntry::build(const client::MembershipTemplate& from,
                                          const MembershipRequest& request,
                                          std::string membership) const {
  client::MembershipEvent event;
  event.room = request.room;
  event.user = request.user;
  event.membership = std::move(membership);
  event.content = request.content;
  event.origin_server_ts = runtime().clock().wall_ms();
  return client::build_membership(from, std::move(event), rooms_.own_name, writer_.signing_key(),
                                  runtime().random());
}

}  // namespace polder::entry
