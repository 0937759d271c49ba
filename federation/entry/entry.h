// How local users enter, are invited into, decline and leave rooms, wherever those are.
// https://spec.matrix.org/v1.19/server-server-api/#joining-rooms, #knocking-rooms,
// #inviting-to-a-room, #leaving-rooms-rejecting-invites
//
// What this server can do by itself in a room that it is in, it does; else another server helps.
// Whatever others answer is verified before the room engine gets it, and nothing of theirs is
// signed but what was built anew here.
#pragma once

#include <memory>
#include <vector>

#include "federation/client/client.h"
#include "federation/entry/entry_context.h"
#include "federation/entry/late_leaves.h"
#include "homeserver/protocol/policy/act.h"
#include "homeserver/rooms/write/writer.h"

namespace polder::entry {

// A local user's membership. The content is without `membership`: displayname, avatar_url, reason
// and is_direct.
struct MembershipRequest {
  UserId user;
  RoomId room;
  json::Object content{};
  // Servers that may be in the room, the first ones of which are asked. Without any, those that
  // this server knows of are.
  std::vector<ServerName> via{};
  policy::Actor actor{};  // without more: the user, by a client
};

// Thread-safe; called on shards. Changes of one room by local users form a line, so that of two who
// enter an unknown room at once the second joins what the first has entered. Both services outlive
// it.
//
// Errors: kForbidden if the room refuses; kNotFound if no server is known that could help, or the
// user has nothing to leave; kUnsupported if the room's version is not known, here or there;
// kUnavailable if no server could help.
class RoomEntry {
 public:
  RoomEntry(rooms::RoomWriter& writer, client::FederationClient& federation);
  ~RoomEntry();

  // Goes on with what was left. Synchronous; before the first request.
  Status start() { return late_leaves_.start(); }

  // A user who is in the room stays there: no error and no event. Requests of one user for one room
  // by one way at once are one, and all get its outcome.
  Task<Status> join(MembershipRequest request);
  // kForbidden for who is invited: they can join.
  Task<Status> knock(MembershipRequest request);
  // Leaves, declines an invite or takes back a knock. If no server of a room that this one is not
  // in can be reached, the user is rid of it all the same, and they are told later. Leaving twice
  // is no error.
  Task<Status> leave(MembershipRequest request);
  // request.user invites; a user of another server only if that server signs the invite.
  Task<Status> invite(MembershipRequest request, UserId target);

 private:
  struct Line;
  struct Joining;
  struct Shard;
  class InLine;
  using Change = Task<Status> (RoomEntry::*)(MembershipRequest);
  using Attempt = Task<Status> (RoomEntry::*)(ServerName, MembershipRequest, EntryContext);

  runtime::Runtime& runtime() const { return rooms_.runtime; }
  size_t shard_of(const RoomId& room) const;
  Task<Result<EntryContext>> context_of(UserId user, RoomId room) const;
  Task<Status> on_shard(MembershipRequest request, Change change);  // the room's
  Task<Status> in_line(MembershipRequest request, Change change);   // of the room, there
  Task<Status> in_line_here(MembershipRequest request, Change change);
  std::vector<ServerName> servers_for(const MembershipRequest& request,
                                      const EntryContext& context) const;
  Task<std::string> guest_access_of(RoomId room, std::vector<ServerName> servers);
  Task<Status> permit(policy::Point point, MembershipRequest request, policy::Facts facts);
  // One after another.
  Task<Status> through_any_of(std::vector<ServerName> servers, MembershipRequest request,
                              EntryContext context, Attempt attempt);
  // If the policy permits it.
  Task<Status> through_some_server(policy::Point point, MembershipRequest request,
                                   EntryContext context, Attempt attempt);
  Task<Status> send_locally(MembershipRequest request, UserId target, std::string membership);
  // In a room that this server is in; if it leaves it meanwhile, through another one after all.
  Task<Status> enter_from_within(policy::Point point, MembershipRequest request,
                                 json::Object content, Attempt attempt);
  Result<events::EventPtr> build(const client::MembershipTemplate& from,
                                 const MembershipRequest& request, std::string membership) const;

  Task<Status> join_once(MembershipRequest request);
  Task<Status> join_in_turn(MembershipRequest request);
  Task<Status> join_through(ServerName server, MembershipRequest request, EntryContext context);
  Task<Status> enter(ServerName server, const events::RoomVersionRules& rules,
                     events::EventPtr join, client::SentJoin answer);
  Task<Status> knock_in_turn(MembershipRequest request);
  Task<Status> knock_through(ServerName server, MembershipRequest request, EntryContext context);
  Task<Status> leave_in_turn(MembershipRequest request);
  Task<Status> leave_through(ServerName server, MembershipRequest request, EntryContext context);
  Task<Status> leave_alone(MembershipRequest request, EntryContext context);
  Task<Status> retry_leave(stores::LateLeave leave);
  Task<Status> retry_leave_in_turn(MembershipRequest request);
  Task<Result<json::Array>> invite_state(UserId inviter, RoomId room) const;

  rooms::RoomWriter& writer_;
  const rooms::RoomSource& rooms_;
  client::FederationClient& federation_;
  std::vector<std::unique_ptr<Shard>> shards_;
  LateLeaves late_leaves_;
};

}  // namespace polder::entry
