// Accounts of local users: names, passwords, profiles, and their end.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "homeserver/users/accounts/parts.h"
#include "homeserver/users/accounts/session_cache.h"
#include "homeserver/users/accounts/turns.h"
#include "storage/stores/users/user_rows.h"

namespace polder::users {

struct NewAccount {
  std::string localpart;
  std::optional<std::string> password;
  std::optional<std::string> password_hash = {};  // instead of it: of hash_password()
  bool admin = false;
  bool guest = false;
  kv::Batch with = {};  // rows to be committed with it
};

// That a password is right.
struct PasswordProof {
  std::string password_hash;  // for the session that begins with it
  bool deactivated = false;   // the user cannot enter any more, though
};

inline constexpr size_t kPasswordBytesMax = 512;
inline constexpr size_t kDisplayNameBytesMax = 1000;

// Thread-safe. Every change is on disk when it returns. Errors: kInvalid, kTooLarge, kExists,
// kNotFound, kForbidden, kUnauthenticated, and those of the disk.
class Accounts {
 public:
  explicit Accounts(Parts parts) : parts_(std::move(parts)), turns_(parts_) {}

  Task<Result<UserId>> register_user(NewAccount account);
  // For who does not say which: one that nobody has, but for an accident.
  std::string make_up_localpart() const;
  // For NewAccount: kInvalid if it is empty, kTooLarge.
  Task<Result<std::string>> hash_password(std::string password);
  // Whether a new user may have the name: kInvalid, kExists.
  Task<Status> check_available(std::string localpart);
  // kForbidden for wrong passwords and unknown users alike.
  Task<Result<PasswordProof>> check_password(UserId user, std::string password);
  // With a device: the sessions of all others end with the change. kInvalid for no password. `with`
  // are rows to be committed with it, here and below.
  Task<Status> set_password(UserId user, std::string password,
                            std::optional<DeviceId> only_goes_on = std::nullopt,
                            kv::Batch with = {});
  // Ends every session; the name stays taken. If erased, account data goes, and who was no member
  // when the user's events came gets them redacted. Whoever calls it has the user leave their
  // rooms.
  Task<Status> deactivate(UserId user, bool erase = false, kv::Batch with = {});
  // Deactivated users who may still be in rooms; and that one of them is in none any more.
  Task<Result<std::vector<UserId>>> leaving();
  Task<Status> left_all_rooms(UserId user);

  Task<Result<stores::AccountRow>> account(UserId user);  // kNotFound for who has none here
  Task<Status> set_profile(UserId user, std::optional<std::string> displayname,
                           std::optional<std::string> avatar_url);

  bool is_local(const UserId& user) const { return user.server() == parts_.own_name.view(); }
  const Parts& parts() const { return parts_; }
  UserTurns& turns() { return turns_; }

  using Change = std::function<Status(const kv::Snapshot&, stores::UserNumber, stores::AccountRow&,
                                      kv::Batch&)>;
  // Changes an account in its user's turn; the row is written back.
  Task<Status> change(UserId user, Change change);
  // The same for changes that may end sessions.
  Task<Status> change_sessions(UserId user, Change change);
  Result<std::optional<stores::UserNumber>> number_of(const UserId& user) const;
  SessionCache& session_cache() { return session_cache_; }

 private:
  Parts parts_;
  UserTurns turns_;
  SessionCache session_cache_;
};

}  // namespace polder::users
