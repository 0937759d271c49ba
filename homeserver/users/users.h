// Local users: accounts, sessions, devices, profiles.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "homeserver/base/runtime/sync.h"
#include "homeserver/base/values/ids.h"
#include "homeserver/users/last_seen.h"
#include "homeserver/users/session.h"
#include "homeserver/users/session_cache.h"
#include "storage/kv/committer.h"
#include "storage/stores/base/names.h"
#include "storage/stores/users/user_rows.h"

namespace polder::users {

// What everything in this module is made of; all outlive it.
struct Parts {
  runtime::Runtime& runtime;
  kv::Database& database;
  kv::Committer& committer;
  stores::Names& names;
  ServerName own_name;
};

struct NewAccount {
  std::string localpart;  // empty: one is made up
  std::optional<std::string> password;
  std::optional<std::string> password_hash = {};  // instead of it: of hash_password()
  bool admin = false;
  bool guest = false;
  kv::Batch with = {};  // rows to be committed with it
};

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

// That a password is right.
struct PasswordProof {
  std::string password_hash;  // for NewSession
  bool deactivated = false;   // the user cannot enter any more, though
};

inline constexpr size_t kPasswordBytesMax = 512;
inline constexpr size_t kDisplayNameBytesMax = 1000;

// Thread-safe. Every change is on disk when it returns. Errors: kInvalid, kTooLarge, kExists,
// kNotFound, kForbidden, kUnauthenticated, and those of the disk.
class Users {
 public:
  explicit Users(Parts parts) : parts_(std::move(parts)), queues_(parts_.runtime) {}

  Task<Result<UserId>> register_user(NewAccount account);
  // For NewAccount: kInvalid if it is empty, kTooLarge.
  Task<Result<std::string>> hash_password(std::string password);
  // Whether a new user may have the name: kInvalid, kExists.
  Task<Status> check_available(std::string localpart);
  // kForbidden for wrong passwords and unknown users alike.
  Task<Result<PasswordProof>> check_password(UserId user, std::string password);
  // With a device: the sessions of all others end with the change. kInvalid for no password.
  Task<Status> set_password(UserId user, std::string password,
                            std::optional<DeviceId> only_goes_on = std::nullopt);
  // Ends every session; the name stays taken. If erased, account data goes, and who was no member
  // when the user's events came gets them redacted. Whoever calls it has the user leave their
  // rooms.
  Task<Status> deactivate(UserId user, bool erase = false);
  // Deactivated users who may still be in rooms; and that one of them is in none any more.
  Task<Result<std::vector<UserId>>> leaving();
  Task<Status> left_all_rooms(UserId user);

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

  Task<Result<stores::AccountRow>> account(UserId user);  // kNotFound for who has none here
  Task<Status> set_profile(UserId user, std::optional<std::string> displayname,
                           std::optional<std::string> avatar_url);

  metrics::CacheFigures session_figures() const { return sessions_.figures(); }
  bool is_local(const UserId& user) const { return user.server() == parts_.own_name.view(); }
  const Parts& parts() const { return parts_; }
  // One for each user (by number): whatever changes rows of a user does it in that user's turn.
  runtime::KeyedQueues& turns() { return queues_; }

 private:
  using Change = std::function<Status(stores::UserNumber, stores::AccountRow&, kv::Batch&)>;

  Result<std::optional<stores::UserNumber>> number_of(const UserId& user) const;
  // Changes an account in its turn; the row is written back.
  Task<Status> change(UserId user, Change change);
  Task<Status> change_in_turn(stores::UserNumber number, Change change);
  Task<Status> register_in_turn(UserId user, stores::AccountRow row, kv::Batch with);
  // The same for changes that may end sessions.
  Task<Status> end_sessions(UserId user, Change change);
  Result<Session> read_session(const Digest& token) const;
  Task<void> write_seen();
  Task<Status> write_seen_in_turn(LastSeen::Device device, LastSeen::Seen seen);

  Parts parts_;
  runtime::KeyedQueues queues_;  // by user; of who registers, by a hash of the name
  SessionCache sessions_;
  LastSeen last_seen_;
};

}  // namespace polder::users
