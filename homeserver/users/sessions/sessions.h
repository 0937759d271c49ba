// Sessions and devices of local users: how they begin, what they are, how they end.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "homeserver/users/accounts/accounts.h"
#include "homeserver/users/sessions/last_seen.h"

namespace polder::users {

struct NewSession {
  std::optional<DeviceId> device;  // else one is made up
  std::string display_name;        // of a device that is new
  std::string address = {};        // from which the device is seen
  // What the user proved with, if it was a password: nobody enters with one that is another by now.
  std::optional<std::string> password_hash = {};
};
struct SessionToken {
  Session session;
  std::string access_token;  // told once, stored as a digest
};

// Thread-safe. Every change is on disk when it returns. Errors as those of Accounts, and
// kUnauthenticated.
class Sessions {
 public:
  // The accounts outlive it.
  explicit Sessions(Accounts& accounts) : accounts_(accounts), parts_(accounts.parts()) {}

  // kForbidden for who is deactivated, or proved with what is no proof any more; kInvalid for a
  // device named like one of the user's cross-signing keys.
  Task<Result<SessionToken>> log_in(UserId user, NewSession session);
  // kUnauthenticated for unknown, expired and malformed tokens. What runs beside the end of a
  // session may still be told of it, nothing that begins after it.
  Task<Result<Session>> authenticate(std::string token);
  // The session was used just now, from this address: devices() tells, and the disk within a minute
  // or so. On a shard.
  void note_seen(const Session& session, std::string_view address);
  Task<Status> log_out(Session session);
  Task<Status> log_out_everywhere(UserId user);

  Task<Result<std::vector<std::pair<DeviceId, stores::DeviceRow>>>> devices(UserId user);
  Task<Status> rename_device(UserId user, DeviceId device, std::string name);
  Task<Status> delete_devices(UserId user, std::vector<DeviceId> devices);

  metrics::CacheFigures figures() const { return accounts_.session_cache().figures(); }

 private:
  Result<Session> read_session(const Digest& token) const;
  Task<void> write_seen();
  Task<Status> write_seen_in_turn(LastSeen::Device device, LastSeen::Seen seen);

  Accounts& accounts_;
  const Parts parts_;
  LastSeen last_seen_;
};

}  // namespace polder::users
