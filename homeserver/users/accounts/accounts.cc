#include "homeserver/users/accounts/accounts.h"

#include "homeserver/base/crypto/hash.h"
#include "homeserver/users/accounts/ending.h"

namespace polder::users {
namespace {

constexpr size_t kMadeUpNameLetters = 16;

std::string lower(std::string text) {
  for (char& c : text)
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

Error wrong_login() {
  return fail(ErrorCode::kForbidden, "Invalid username or password");
}

}  // namespace

Result<std::optional<stores::UserNumber>> Accounts::number_of(const UserId& user) const {
  return parts_.names.find(stores::NameKind::kUser, user.view());
}

Task<Status> Accounts::change(UserId user, Change change) {
  Accounts* self = this;
  POLDER_CO_TRY(const auto number, co_await runtime::on_pool(parts_.runtime, [self, user] {
                  return self->number_of(user);
                }));
  if (!number) co_return fail(ErrorCode::kNotFound, "no such user");
  auto make = [number = *number, change = std::move(change)](const kv::Snapshot& snapshot,
                                                             kv::Batch& batch) -> Status {
    POLDER_TRY(auto row, stores::read_account(snapshot, number));
    if (!row) return fail(ErrorCode::kNotFound, "no such user");
    POLDER_CHECK(change(snapshot, number, *row, batch));
    stores::put_account(batch, number, *row);
    return {};
  };
  co_return co_await turns_.change(*number, std::move(make));
}

// What is remembered goes after the end is on disk, and also if that is not sure.
Task<Status> Accounts::change_sessions(UserId user, Change change) {
  auto changed = std::make_shared<stores::UserNumber>(0);
  auto note = [changed, change = std::move(change)](
                  const kv::Snapshot& snapshot, stores::UserNumber number, stores::AccountRow& row,
                  kv::Batch& batch) -> Status {
    *changed = number;
    return change(snapshot, number, row, batch);
  };
  const Status done = co_await this->change(std::move(user), std::move(note));
  if (*changed == 0) co_return done;
  session_cache_.forget(*changed);
  co_return done;
}

Task<Status> Accounts::check_available(std::string localpart) {
  POLDER_CO_TRY(const UserId user, UserId::create(lower(std::move(localpart)), parts_.own_name));
  const auto account = co_await this->account(user);
  if (account.ok()) co_return fail(ErrorCode::kExists, "the name is taken");
  co_return account.error().code == ErrorCode::kNotFound ? Status() : Status(account.error());
}

Task<Result<std::string>> Accounts::hash_password(std::string password) {
  if (password.empty()) co_return fail(ErrorCode::kInvalid, "the password is empty");
  if (password.size() > kPasswordBytesMax)
    co_return fail(ErrorCode::kTooLarge, "the password is too long");
  co_return co_await runtime::on_pool(parts_.runtime, runtime::Lane::kLong,
                                      [password] { return crypto::hash_password(password); });
}

std::string Accounts::make_up_localpart() const {
  return lower(parts_.runtime.random().letters(kMadeUpNameLetters));
}

Task<Result<UserId>> Accounts::register_user(NewAccount account) {
  const std::string localpart = lower(std::move(account.localpart));
  POLDER_CO_TRY(const UserId user, UserId::create(localpart, parts_.own_name));
  stores::AccountRow row;
  row.admin = account.admin;
  row.guest = account.guest;
  row.created_ms = parts_.runtime.clock().wall_ms();
  row.password_hash = account.password_hash.value_or("");
  if (account.password) {
    POLDER_CO_TRY(row.password_hash, co_await hash_password(*std::move(account.password)));
  }
  // One registration of a name after the other: two at once cannot both succeed.
  const auto names = std::make_shared<stores::NewNames>();
  auto make = [this, user, row = std::move(row), with = std::move(account.with), names](
                  const kv::Snapshot& snapshot, kv::Batch& batch) -> Status {
    POLDER_TRY(const uint64_t number,
               parts_.names.intern(stores::NameKind::kUser, user.view(), batch, *names));
    POLDER_TRY(const auto taken, stores::read_account(snapshot, number));
    if (taken) return fail(ErrorCode::kExists, "the name is taken");
    stores::put_account(batch, number, row);
    batch.append(with);
    return {};
  };
  POLDER_CO_CHECK(co_await turns_.change(std::hash<UserId>()(user), std::move(make)));
  parts_.names.committed(*names);
  co_return user;
}

Task<Result<stores::AccountRow>> Accounts::account(UserId user) {
  Accounts* self = this;
  co_return co_await runtime::on_pool(parts_.runtime, [self, user]() -> Result<stores::AccountRow> {
    POLDER_TRY(const auto number, self->number_of(user));
    if (!number) return fail(ErrorCode::kNotFound, "no such user");
    POLDER_TRY(auto row, stores::read_account(*self->parts_.database.snapshot(), *number));
    if (!row) return fail(ErrorCode::kNotFound, "no such user");
    return *std::move(row);
  });
}

Task<Result<PasswordProof>> Accounts::check_password(UserId user, std::string password) {
  if (password.size() > kPasswordBytesMax) co_return wrong_login();
  const auto row = co_await account(user);
  if (!row.ok() && row.error().code != ErrorCode::kNotFound) co_return row.error();
  PasswordProof proof;
  if (row.ok()) proof = {row->password_hash, row->deactivated};
  // A password is hashed in any case, so that the time says nothing about who exists.
  const bool right =
      co_await runtime::on_pool(parts_.runtime, runtime::Lane::kLong,
                                [password = std::move(password), hash = proof.password_hash] {
                                  if (hash.empty())
                                    return crypto::hash_password(password).ok() && false;
                                  return crypto::verify_password(password, hash);
                                });
  if (!right) co_return wrong_login();
  co_return proof;
}

Task<Status> Accounts::set_password(UserId user, std::string password,
                                    std::optional<DeviceId> only_goes_on, kv::Batch with) {
  POLDER_CO_TRY(const std::string hash, co_await hash_password(std::move(password)));
  co_return co_await change_sessions(
      std::move(user),
      [hash, only_goes_on, with = std::move(with)](
          const kv::Snapshot& snapshot, stores::UserNumber number, stores::AccountRow& row,
          kv::Batch& batch) -> Status {
        if (row.deactivated) return fail(ErrorCode::kForbidden, "the user is deactivated");
        batch.append(with);
        row.password_hash = hash;
        if (!only_goes_on) return {};
        return end_all_devices(snapshot, batch, number, *only_goes_on);
      });
}

// The password stays, so that its owner is told why it does not help any more.
Task<Status> Accounts::deactivate(UserId user, bool erase, kv::Batch with) {
  co_return co_await change_sessions(
      std::move(user),
      [erase, with = std::move(with)](const kv::Snapshot& snapshot, stores::UserNumber number,
                                      stores::AccountRow& row, kv::Batch& batch) -> Status {
        batch.append(with);
        row.deactivated = true;
        row.leaving = true;
        row.erased = row.erased || erase;
        row.displayname.clear();
        row.avatar_url.clear();
        if (erase) row.password_hash.clear();
        if (erase) stores::erase_user_data(batch, number);
        return end_all_devices(snapshot, batch, number, {});
      });
}

Task<Result<std::vector<UserId>>> Accounts::leaving() {
  Accounts* self = this;
  co_return co_await runtime::on_pool(parts_.runtime, [self]() -> Result<std::vector<UserId>> {
    std::vector<UserId> users;
    POLDER_CHECK(stores::for_each_account(
        *self->parts_.database.snapshot(),
        [&](stores::UserNumber number, const stores::AccountRow& row) -> Status {
          if (!row.leaving) return {};
          POLDER_TRY(std::string name, self->parts_.names.name(stores::NameKind::kUser, number));
          users.push_back(UserId::trusted(std::move(name)));
          return {};
        }));
    return users;
  });
}

Task<Status> Accounts::left_all_rooms(UserId user) {
  co_return co_await change(
      std::move(user),
      [](const kv::Snapshot&, stores::UserNumber, stores::AccountRow& row, kv::Batch&) -> Status {
        row.leaving = false;
        return {};
      });
}

Task<Status> Accounts::set_profile(UserId user, std::optional<std::string> displayname,
                                   std::optional<std::string> avatar_url) {
  for (const auto& value : {displayname, avatar_url}) {
    if (value && value->size() > kDisplayNameBytesMax)
      co_return fail(ErrorCode::kTooLarge, "the value is too long");
  }
  co_return co_await change(
      std::move(user),
      [displayname, avatar_url](const kv::Snapshot&, stores::UserNumber, stores::AccountRow& row,
                                kv::Batch&) -> Status {
        if (displayname) row.displayname = *displayname;
        if (avatar_url) row.avatar_url = *avatar_url;
        return {};
      });
}

}  // namespace polder::users
