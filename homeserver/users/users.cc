#include "homeserver/users/users.h"

#include "homeserver/base/crypto/hash.h"
#include "storage/stores/key_rows.h"

namespace polder::users {
namespace {

constexpr std::string_view kTokenPrefix = "pat";
constexpr uint64_t kAccessToken = 1;
constexpr size_t kCachedSessionsMax = 100'000;
constexpr size_t kDeviceIdLetters = 10;
constexpr size_t kMadeUpNameLetters = 16;

std::string cache_key(const Digest& token) {
  return std::string(as_text(token));
}

std::string lower(std::string text) {
  for (char& c : text)
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

Error wrong_login() {
  return fail(ErrorCode::kForbidden, "Invalid username or password");
}

}  // namespace

Result<std::optional<stores::UserNumber>> Users::number_of(const UserId& user) const {
  return parts_.names.find(stores::NameKind::kUser, user.view());
}

Task<Status> Users::change_in_turn(stores::UserNumber number, Change change) {
  Users* self = this;
  auto batch = co_await runtime::on_pool(
      parts_.runtime, runtime::Lane::kShort, [self, number, change]() -> Result<kv::Batch> {
        POLDER_TRY(auto row, stores::read_account(*self->parts_.database.snapshot(), number));
        if (!row) return fail(ErrorCode::kNotFound, "no such user");
        kv::Batch made;
        POLDER_CHECK(change(number, *row, made));
        stores::put_account(made, number, *row);
        return made;
      });
  if (!batch.ok()) co_return std::move(batch).error();
  POLDER_CO_CHECK(co_await parts_.committer.commit(*std::move(batch)));
  co_return Status();
}

Task<Status> Users::change(UserId user, Change change) {
  Users* self = this;
  POLDER_CO_TRY(const auto number, co_await runtime::on_pool(parts_.runtime, [self, user] {
                  return self->number_of(user);
                }));
  if (!number) co_return fail(ErrorCode::kNotFound, "no such user");
  auto make = [this, number, change = std::move(change)] {
    return change_in_turn(*number, change);
  };
  co_return co_await queues_.in_turn(*number, std::move(make));
}

Task<Status> Users::check_available(std::string localpart) {
  POLDER_CO_TRY(const UserId user, UserId::create(lower(std::move(localpart)), parts_.own_name));
  const auto account = co_await this->account(user);
  if (account.ok()) co_return fail(ErrorCode::kExists, "the name is taken");
  co_return account.error().code == ErrorCode::kNotFound ? Status() : Status(account.error());
}

Task<Status> Users::register_in_turn(UserId user, stores::AccountRow row) {
  kv::Batch batch;
  stores::NewNames names;
  POLDER_CO_TRY(const uint64_t number,
                parts_.names.intern(stores::NameKind::kUser, user.view(), batch, names));
  Users* self = this;
  POLDER_CO_TRY(const auto taken,
                co_await runtime::on_pool(parts_.runtime, [self, number = number] {
                  return stores::read_account(*self->parts_.database.snapshot(), number);
                }));
  if (taken) co_return fail(ErrorCode::kExists, "the name is taken");
  stores::put_account(batch, number, row);
  POLDER_CO_CHECK(co_await parts_.committer.commit(std::move(batch)));
  parts_.names.committed(names);
  co_return Status();
}

Task<Result<UserId>> Users::register_user(NewAccount account) {
  std::string localpart = lower(std::move(account.localpart));
  if (localpart.empty()) localpart = lower(parts_.runtime.random().letters(kMadeUpNameLetters));
  POLDER_CO_TRY(const UserId user, UserId::create(localpart, parts_.own_name));
  stores::AccountRow row;
  row.admin = account.admin;
  row.guest = account.guest;
  row.created_ms = parts_.runtime.clock().wall_ms();
  if (account.password) {
    if (account.password->size() > kPasswordBytesMax)
      co_return fail(ErrorCode::kTooLarge, "the password is too long");
    const std::string password = *std::move(account.password);
    POLDER_CO_TRY(row.password_hash,
                  co_await runtime::on_pool(parts_.runtime, runtime::Lane::kLong, [password] {
                    return crypto::hash_password(password);
                  }));
  }
  // One registration of a name after the other: two at once cannot both succeed.
  auto make = [this, user, row = std::move(row)] { return register_in_turn(user, row); };
  POLDER_CO_CHECK(co_await queues_.in_turn(std::hash<UserId>()(user), std::move(make)));
  co_return user;
}

Task<Result<stores::AccountRow>> Users::account(UserId user) {
  Users* self = this;
  co_return co_await runtime::on_pool(parts_.runtime, [self, user]() -> Result<stores::AccountRow> {
    POLDER_TRY(const auto number, self->number_of(user));
    if (!number) return fail(ErrorCode::kNotFound, "no such user");
    POLDER_TRY(auto row, stores::read_account(*self->parts_.database.snapshot(), *number));
    if (!row) return fail(ErrorCode::kNotFound, "no such user");
    return *std::move(row);
  });
}

Task<Result<UserId>> Users::check_password(UserId user, std::string password) {
  if (password.size() > kPasswordBytesMax) co_return wrong_login();
  const auto row = co_await account(user);
  if (!row.ok() && row.error().code != ErrorCode::kNotFound) co_return row.error();
  const std::string hash = row.ok() && !row->deactivated ? row->password_hash : "";
  // A password is hashed in any case, so that the time says nothing about who exists.
  const bool right = co_await runtime::on_pool(
      parts_.runtime, runtime::Lane::kLong, [password = std::move(password), hash] {
        if (hash.empty()) return crypto::hash_password(password).ok() && false;
        return crypto::verify_password(password, hash);
      });
  if (!right) co_return wrong_login();
  co_return user;
}

Task<Status> Users::set_password(UserId user, std::string password) {
  if (password.size() > kPasswordBytesMax)
    co_return fail(ErrorCode::kTooLarge, "the password is too long");
  POLDER_CO_TRY(const std::string hash,
                co_await runtime::on_pool(parts_.runtime, runtime::Lane::kLong,
                                          [password] { return crypto::hash_password(password); }));
  co_return co_await change(
      std::move(user), [hash](stores::UserNumber, stores::AccountRow& row, kv::Batch&) -> Status {
        if (row.deactivated) return fail(ErrorCode::kForbidden, "the user is deactivated");
        row.password_hash = hash;
        return {};
      });
}

Task<Status> Users::deactivate(UserId user, bool erase) {
  POLDER_CO_CHECK(co_await change(
      user,
      [erase](stores::UserNumber number, stores::AccountRow& row, kv::Batch& batch) -> Status {
        row.deactivated = true;
        row.leaving = true;
        row.erased = row.erased || erase;
        row.password_hash.clear();
        row.displayname.clear();
        row.avatar_url.clear();
        if (erase) stores::erase_user_data(batch, number);
        return {};
      }));
  co_return co_await log_out_everywhere(std::move(user));
}

Task<Result<std::vector<UserId>>> Users::leaving() {
  Users* self = this;
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

Task<Status> Users::left_all_rooms(UserId user) {
  co_return co_await change(std::move(user),
                            [](stores::UserNumber, stores::AccountRow& row, kv::Batch&) -> Status {
                              row.leaving = false;
                              return {};
                            });
}

Task<Result<SessionToken>> Users::log_in(UserId user, NewSession wanted) {
  if (wanted.display_name.size() > kDisplayNameBytesMax)
    co_return fail(ErrorCode::kTooLarge, "the device's name is too long");
  SessionToken made;
  made.access_token = crypto::make_token(parts_.runtime.random(), kTokenPrefix);
  made.session.user = user;
  made.session.device =
      wanted.device.value_or(DeviceId::trusted(parts_.runtime.random().letters(kDeviceIdLetters)));
  made.session.token = crypto::token_digest(made.access_token);
  auto session = std::make_shared<Session>(made.session);
  Users* self = this;
  POLDER_CO_CHECK(co_await change(
      user,
      [self, session, wanted](stores::UserNumber number, stores::AccountRow& row,
                              kv::Batch& batch) -> Status {
        if (row.deactivated) return fail(ErrorCode::kForbidden, "the user is deactivated");
        session->number = number;
        session->admin = row.admin;
        session->guest = row.guest;
        const auto snapshot = self->parts_.database.snapshot();
        POLDER_TRY(const auto known, stores::read_device(*snapshot, number, session->device));
        stores::DeviceRow device = known.value_or(stores::DeviceRow());
        if (!known) device.display_name = wanted.display_name;
        stores::put_device(batch, number, session->device, device);
        // "If the device id is already known, the access tokens associated with it are
        // invalidated."
        POLDER_TRY(const auto sessions, stores::read_sessions_of(*snapshot, number));
        for (const auto& [token, old] : sessions) {
          if (old.device == session->device) stores::erase_session(batch, token, number);
        }
        stores::SessionRow fresh;
        fresh.user = number;
        fresh.device = session->device;
        fresh.kind = kAccessToken;
        stores::put_session(batch, session->token, fresh);
        return {};
      }));
  forget_sessions(session->number);
  made.session = *session;
  co_return made;
}

Task<Result<Session>> Users::authenticate(std::string token) {
  const Error refused = fail(ErrorCode::kUnauthenticated, "Unrecognised access token");
  if (!crypto::is_token(token, kTokenPrefix)) co_return refused;
  const Digest digest = crypto::token_digest(token);
  {
    const std::lock_guard lock(cache_mutex_);
    if (const auto cached = cache_.find(cache_key(digest)); cached != cache_.end())
      co_return cached->second;
  }
  Users* self = this;
  auto found =
      co_await runtime::on_pool(parts_.runtime, [self, digest, refused]() -> Result<Session> {
        const auto snapshot = self->parts_.database.snapshot();
        POLDER_TRY(const auto row, stores::read_session(*snapshot, digest));
        if (!row || row->kind != kAccessToken) return refused;
        if (row->expires_ms != 0 && row->expires_ms <= self->parts_.runtime.clock().wall_ms())
          return refused;
        POLDER_TRY(const auto account, stores::read_account(*snapshot, row->user));
        if (!account || account->deactivated) return refused;
        POLDER_TRY(const std::string name,
                   self->parts_.names.name(stores::NameKind::kUser, row->user));
        return Session{UserId::trusted(name), row->user,     row->device, digest,
                       account->admin,        account->guest};
      });
  if (found.ok()) {
    const std::lock_guard lock(cache_mutex_);
    if (cache_.size() >= kCachedSessionsMax) cache_.clear();
    cache_.emplace(cache_key(digest), *found);
  }
  co_return found;
}

void Users::forget_sessions(stores::UserNumber user) {
  const std::lock_guard lock(cache_mutex_);
  std::erase_if(cache_, [&](const auto& item) { return item.second.number == user; });
}

Task<Status> Users::log_out(Session session) {
  std::vector<DeviceId> device(1, session.device);
  co_return co_await delete_devices(session.user, std::move(device));
}

Task<Status> Users::log_out_everywhere(UserId user, std::optional<DeviceId> but) {
  POLDER_CO_TRY(const auto all, co_await devices(user));
  std::vector<DeviceId> ending;
  for (const auto& [device, row] : all) {
    if (device != but) ending.push_back(device);
  }
  co_return co_await delete_devices(std::move(user), std::move(ending));
}

Task<Result<std::vector<std::pair<DeviceId, stores::DeviceRow>>>> Users::devices(UserId user) {
  Users* self = this;
  using Devices = std::vector<std::pair<DeviceId, stores::DeviceRow>>;
  co_return co_await runtime::on_pool(parts_.runtime, [self, user]() -> Result<Devices> {
    POLDER_TRY(const auto number, self->number_of(user));
    if (!number) return Devices();
    return stores::read_devices(*self->parts_.database.snapshot(), *number);
  });
}

Task<Status> Users::rename_device(UserId user, DeviceId device, std::string name) {
  if (name.size() > kDisplayNameBytesMax)
    co_return fail(ErrorCode::kTooLarge, "the device's name is too long");
  Users* self = this;
  co_return co_await change(
      std::move(user),
      [self, device, name](stores::UserNumber number, stores::AccountRow&,
                           kv::Batch& batch) -> Status {
        POLDER_TRY(auto row,
                   stores::read_device(*self->parts_.database.snapshot(), number, device));
        if (!row) return fail(ErrorCode::kNotFound, "no such device");
        row->display_name = name;
        stores::put_device(batch, number, device, *row);
        // Others see the name beside the device's keys.
        stores::put_device_list_change(batch, batch.reserve_position(), number, device);
        return {};
      });
}

Task<Status> Users::delete_devices(UserId user, std::vector<DeviceId> devices) {
  Users* self = this;
  auto ended = std::make_shared<stores::UserNumber>(0);
  const Status done = co_await change(
      user,
      [self, devices, ended](stores::UserNumber number, stores::AccountRow&,
                             kv::Batch& batch) -> Status {
        *ended = number;
        POLDER_TRY(const auto sessions,
                   stores::read_sessions_of(*self->parts_.database.snapshot(), number));
        const auto snapshot = self->parts_.database.snapshot();
        for (const DeviceId& device : devices) {
          POLDER_TRY(const auto keys, stores::read_device_keys_of(*snapshot, number, device));
          stores::erase_device(batch, number, device);
          stores::erase_keys_of_device(batch, number, device);
          if (keys) stores::put_device_list_change(batch, batch.reserve_position(), number, device);
        }
        for (const auto& [token, session] : sessions) {
          if (std::ranges::find(devices, session.device) != devices.end())
            stores::erase_session(batch, token, number);
        }
        return {};
      });
  forget_sessions(*ended);
  co_return done;
}

Task<Status> Users::set_profile(UserId user, std::optional<std::string> displayname,
                                std::optional<std::string> avatar_url) {
  for (const auto& value : {displayname, avatar_url}) {
    if (value && value->size() > kDisplayNameBytesMax)
      co_return fail(ErrorCode::kTooLarge, "the value is too long");
  }
  co_return co_await change(
      std::move(user),
      [displayname, avatar_url](stores::UserNumber, stores::AccountRow& row, kv::Batch&) -> Status {
        if (displayname) row.displayname = *displayname;
        if (avatar_url) row.avatar_url = *avatar_url;
        return {};
      });
}

}  // namespace polder::users
