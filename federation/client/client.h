// What this server asks of others. Every answer is bounded and has the shape that its type says;
// signatures and hashes of events are the room engine's to verify.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "federation/client/membership.h"
#include "federation/client/state_answer.h"
#include "federation/transport/transport.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/protocol/events/event.h"
#include "homeserver/rooms/model/ports.h"

namespace polder::client {

// https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid
struct SentJoin {
  rooms::RemoteState state;          // before the join
  std::optional<std::string> event;  // with the resident server's signature, if it added one
  bool members_omitted = false;
  std::vector<ServerName> servers_in_room;  // if members are omitted
};

struct RoomAddress {
  RoomId room;
  std::vector<ServerName> servers;
};

struct RemoteDevice {
  DeviceId id;
  json::Object keys;  // device keys, of this user and device
  std::optional<std::string> name;
};
struct RemoteDevices {
  int64_t stream_id = 0;
  std::vector<RemoteDevice> devices;
  std::optional<json::Object> master_key;
  std::optional<json::Object> self_signing_key;
};

struct RemoteMedia {
  std::string content_type;  // as sent; empty if unknown
  std::string disposition;   // Content-Disposition; empty if absent
  std::string bytes;
  std::string location;                           // instead of the bytes: an URL at which they are
  std::shared_ptr<const void> counted = nullptr;  // keeps the bytes counted while it lives
};

struct ThumbnailQuery {
  int width = 0;
  int height = 0;
  bool crop = false;
  bool animated = false;
};

struct EventAtTime {
  EventId event;
  int64_t origin_server_ts = 0;
};

// A call that a user waits for.
inline transport::Call of_user() {
  transport::Call call;
  call.demand.cause = egress::Cause::kUser;
  return call;
}

// Errors are those of transport::Servers. Thread-safe; called on shards. Servers outlives it.
class FederationClient final : public rooms::RemoteServers {
 public:
  explicit FederationClient(transport::Servers& servers) : servers_(servers) {}

  // How long until the server is asked again; zero if at once.
  Millis back_off(const ServerName& server) const { return servers_.back_off(server); }

  // --- Events (events.cc) ---
  Task<Result<std::string>> event(ServerName server, EventId event) override;
  Task<Result<rooms::RemoteStateIds>> state_ids(ServerName server, RoomId room,
                                                EventId event) override;
  Task<Result<rooms::RemoteState>> state(ServerName server, RoomId room, EventId event) override;
  Task<Result<std::vector<std::string>>> missing_events(ServerName server, RoomId room,
                                                        rooms::MissingEvents wanted) override;
  Task<Result<std::vector<std::string>>> backfill(ServerName server, RoomId room,
                                                  std::vector<EventId> from, size_t limit) override;
  Task<Result<EventAtTime>> event_at_time(ServerName server, RoomId room, int64_t time_ms,
                                          bool forwards);

  // --- Membership (rooms.cc) ---
  Task<Result<MembershipTemplate>> make_join(ServerName server, RoomId room, UserId user);
  Task<Result<MembershipTemplate>> make_leave(ServerName server, RoomId room, UserId user);
  Task<Result<MembershipTemplate>> make_knock(ServerName server, RoomId room, UserId user);
  Task<Result<SentJoin>> send_join(ServerName server, events::EventPtr join, bool omit_members);
  Task<Status> send_leave(ServerName server, events::EventPtr leave);
  Task<Result<json::Array>> send_knock(ServerName server, events::EventPtr knock);  // its state
  // The invite with the invited server's signature added. State beyond a limit is left out.
  Task<Result<events::EventPtr>> invite(ServerName server, events::EventPtr invite,
                                        json::Array invite_room_state);

  // --- Queries (queries.cc) ---
  Task<Result<json::Object>> profile(ServerName server, UserId user,
                                     std::optional<std::string> field);
  Task<Result<RoomAddress>> directory(ServerName server, RoomAlias alias);
  Task<Result<RemoteDevices>> user_devices(ServerName server, UserId user);
  // Of the users that were asked for, and of this server's only: device_keys, master_keys,
  // self_signing_keys; one_time_keys.
  Task<Result<json::Object>> query_keys(ServerName server, json::Object device_keys);
  Task<Result<json::Object>> claim_keys(ServerName server, json::Object one_time_keys);
  Task<Result<json::Object>> public_rooms(ServerName server, json::Object query);
  Task<Result<json::Object>> hierarchy(ServerName server, RoomId room, bool suggested_only);
  // Media that is not uploaded yet is waited for up to a timeout. Asks the old, unauthenticated
  // endpoint if the server knows no other.
  Task<Result<RemoteMedia>> media(ServerName server, std::string media_id, Millis timeout,
                                  size_t bytes_max);
  Task<Result<RemoteMedia>> thumbnail(ServerName server, std::string media_id, ThumbnailQuery query,
                                      Millis timeout, size_t bytes_max);

 private:
  Task<Result<MembershipTemplate>> make(const char* membership, ServerName server, RoomId room,
                                        UserId user, transport::Query versions);
  // kNotFound, else transport::not_asked().
  Task<Result<json::Object>> ask_for(ServerName server, transport::Call call);
  // An answer whose lists may be long: its body has been taken.
  Task<Result<std::shared_ptr<StateAnswer>>> state_answer(ServerName server, transport::Call call,
                                                          std::string state_list);
  Task<Result<json::Object>> query_users(const char* path, const char* name,
                                         std::vector<std::string> answers, ServerName server,
                                         json::Object users);
  Task<Result<RemoteMedia>> multipart(ServerName server, transport::Call call);
  Task<Result<RemoteMedia>> unauthenticated_media(ServerName server, std::string media_id,
                                                  Millis timeout, size_t bytes_max);

  transport::Servers& servers_;
};

}  // namespace polder::client
