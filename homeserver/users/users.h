// Local users: accounts, sessions, devices, profiles.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "homeserver/base/runtime/sync.h"
#include "homeserver/base/values/ids.h"
#include "storage/kv/committer.h"
#include "storage/stores/names.h"
#include "storage/stores/user_rows.h"

namespace polder::users {

// What everything in this module is made of; all outlive it.
struct Parts {
  runtime::Runtime& runtime;
  kv::Database& database;
  kv::Committer& committer;
  stores::Names& names;
  ServerName own_name;
};

// Who asks, as a token says.
struct Session {
  UserId user;
  stores::UserNumber number = 0;
  DeviceId device;
  Digest token{};
  bool admin = false;
  bool guest = false;
};

struct NewAccount {
  std::string localpart;  // empty: one is made up
  std::optional<std::string> password;
  bool admin = false;
  bool guest = false;
};

struct NewSession {
  std::optional<DeviceId> device;  // else one is made up
  std::string display_name;        // of a device that is new
};
struct SessionToken {
  Session session;
  std::string access_token;  // told once, stored as a digest
};

inline constexpr size_t kPasswordBytesMax = 512;
inline constexpr size_t kDisplayNameBytesMax = 1000;

// Thread-safe. Every change is on disk when it returns. Errors: kInvalid, kTooLarge, kExists,
// kNotFound, kForbidden, kUnauthenticated, and those of the disk.
class Users {
 public:
  explicit Users(Parts parts) : parts_(std::move(parts)), queues_(parts_.runtime) {}

  Task<Result<UserId>> register_user(NewAccount account);
  // Whether a new user may have the name: kInvalid, kExists.
  Task<Status> check_available(std::string localpart);
  // kForbidden for wrong passwords, unknown and deactivated users alike.
  Task<Result<UserId>> check_password(UserId user, std::string password);
  Task<Status> set_password(UserId user, std::string password);
  // Ends every session; the name stays taken. If erased, account data goes, and who was no member
  // when the user's events came gets them redacted. Whoever calls it has the user leave their
  // rooms.
  Task<Status> deactivate(UserId user, bool erase = false);
  // Deactivated users who may still be in rooms; and that one of them is in none any more.
  Task<Result<std::vector<UserId>>> leaving();
  Task<Status> left_all_rooms(UserId user);

  Task<Result<SessionToken>> log_in(UserId user, NewSession session);
  // kUnauthenticated for unknown, expired and malformed tokens.
  Task<Result<Session>> authenticate(std::string token);
  Task<Status> log_out(Session session);
  Task<Status> log_out_everywhere(UserId user, std::optional<DeviceId> but = std::nullopt);

  Task<Result<std::vector<std::pair<DeviceId, stores::DeviceRow>>>> devices(UserId user);
  Task<Status> rename_device(UserId user, DeviceId device, std::string name);
  Task<Status> delete_devices(UserId user, std::vector<DeviceId> devices);

  Task<Result<stores::AccountRow>> account(UserId user);  // kNotFound for who has none here
  Task<Status> set_profile(UserId user, std::optional<std::string> displayname,
                           std::optional<std::string> avatar_url);

  bool is_local(const UserId& user) const { return user.server() == parts_.own_name.view(); }
  const Parts& parts() const { return parts_; }

 private:
  using Change = std::function<Status(stores::UserNumber, stores::AccountRow&, kv::Batch&)>;

  Result<std::optional<stores::UserNumber>> number_of(const UserId& user) const;
  // Changes an account in its turn; the row is written back.
  Task<Status> change(UserId user, Change change);
  Task<Status> change_in_turn(stores::UserNumber number, Change change);
  Task<Status> register_in_turn(UserId user, stores::AccountRow row);
  void forget_sessions(stores::UserNumber user);

  Parts parts_;
  runtime::KeyedQueues queues_;  // by user; of who registers, by a hash of the name
  std::mutex cache_mutex_;
  std::unordered_map<std::string, Session> cache_;  // by token digest; under cache_mutex_
};

}  // namespace polder::users
