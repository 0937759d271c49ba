#include "homeserver/users/sessions/sessions.h"

#include "homeserver/base/crypto/hash.h"
#include "homeserver/protocol/e2ee/key_checks.h"
#include "homeserver/users/accounts/ending.h"
#include "storage/stores/users/key_rows.h"

namespace polder::users {
namespace {

constexpr std::string_view kTokenPrefix = "pat";
constexpr uint64_t kAccessToken = 1;
constexpr size_t kDeviceIdLetters = 10;
constexpr Millis kSeenWrittenAfter{60'000};

Error unknown_token() {
  return fail(ErrorCode::kUnauthenticated, "Unrecognised access token");
}

// "The given device ID must not be the same as a cross-signing key ID."
Status check_device_name(const kv::Snapshot& snapshot, stores::UserNumber user,
                         const DeviceId& device) {
  for (const std::string_view usage : {"master", "self_signing", "user_signing"}) {
    POLDER_TRY(const auto text, stores::read_cross_signing_key(snapshot, user, usage));
    const auto key = text ? e2ee::stored_key(*text) : std::nullopt;
    if (key && e2ee::name_of_cross_signing_key(*key) == device.view())
      return fail(ErrorCode::kInvalid, "a cross-signing key has the name of the device");
  }
  return {};
}

// "If the device id is already known, the access tokens associated with it are invalidated."
Status put_fresh_session(const kv::Snapshot& snapshot, kv::Batch& batch, const Session& session) {
  POLDER_TRY(const auto sessions, stores::read_sessions_of(snapshot, session.number));
  for (const auto& [token, old] : sessions) {
    if (old.device == session.device) stores::erase_session(batch, token, session.number);
  }
  stores::SessionRow fresh;
  fresh.user = session.number;
  fresh.device = session.device;
  fresh.kind = kAccessToken;
  stores::put_session(batch, session.token, fresh);
  return {};
}

}  // namespace

Task<Result<SessionToken>> Sessions::log_in(UserId user, NewSession wanted) {
  if (wanted.display_name.size() > kDisplayNameBytesMax)
    co_return fail(ErrorCode::kTooLarge, "the device's name is too long");
  SessionToken made;
  made.access_token = crypto::make_token(parts_.runtime.random(), kTokenPrefix);
  made.session.user = user;
  made.session.device =
      wanted.device.value_or(DeviceId::trusted(parts_.runtime.random().letters(kDeviceIdLetters)));
  made.session.token = crypto::token_digest(made.access_token);
  auto session = std::make_shared<Session>(made.session);
  Sessions* self = this;
  POLDER_CO_CHECK(co_await accounts_.change_sessions(
      user,
      [self, session, wanted](const kv::Snapshot& snapshot, stores::UserNumber number,
                              stores::AccountRow& row, kv::Batch& batch) -> Status {
        if (row.deactivated) return fail(ErrorCode::kForbidden, "the user is deactivated");
        if (wanted.password_hash && *wanted.password_hash != row.password_hash)
          return fail(ErrorCode::kForbidden, "the password was changed");
        session->number = number;
        session->admin = row.admin;
        session->guest = row.guest;
        POLDER_CHECK(check_device_name(snapshot, number, session->device));
        POLDER_TRY(const auto known, stores::read_device(snapshot, number, session->device));
        stores::DeviceRow device = known.value_or(stores::DeviceRow());
        if (!known) {
          device.display_name = wanted.display_name;
          POLDER_CHECK(stores::erase_rest_of_device(snapshot, batch, number, session->device));
        }
        device.last_seen_ms = self->parts_.runtime.clock().wall_ms();
        device.last_seen_ip = wanted.address;
        stores::put_device(batch, number, session->device, device);
        return put_fresh_session(snapshot, batch, *session);
      }));
  made.session = *session;
  co_return made;
}

Task<Result<Session>> Sessions::authenticate(std::string token) {
  if (!crypto::is_token(token, kTokenPrefix)) co_return unknown_token();
  const Digest digest = crypto::token_digest(token);
  const auto sought = accounts_.session_cache().find(digest, parts_.runtime.clock().wall_ms());
  if (sought.session) co_return *sought.session;
  const Sessions* self = this;
  auto found = co_await runtime::on_pool(parts_.runtime,
                                         [self, digest] { return self->read_session(digest); });
  if (found.ok()) accounts_.session_cache().remember(*found, sought.ends);
  co_return found;
}

Result<Session> Sessions::read_session(const Digest& token) const {
  const auto snapshot = parts_.database.snapshot();
  POLDER_TRY(const auto row, stores::read_session(*snapshot, token));
  if (!row || row->kind != kAccessToken) return unknown_token();
  POLDER_TRY(const auto account, stores::read_account(*snapshot, row->user));
  if (!account || account->deactivated) return unknown_token();
  POLDER_TRY(const std::string name, parts_.names.name(stores::NameKind::kUser, row->user));
  Session session{UserId::trusted(name), row->user,      row->device,    token,
                  account->admin,        account->guest, row->expires_ms};
  if (session.expired(parts_.runtime.clock().wall_ms())) return unknown_token();
  return session;
}

Task<Status> Sessions::log_out(Session session) {
  std::vector<DeviceId> device(1, session.device);
  co_return co_await delete_devices(session.user, std::move(device));
}

Task<Status> Sessions::log_out_everywhere(UserId user) {
  co_return co_await accounts_.change_sessions(
      std::move(user),
      [](const kv::Snapshot& snapshot, stores::UserNumber number, stores::AccountRow&,
         kv::Batch& batch) { return end_all_devices(snapshot, batch, number, {}); });
}

Task<Status> Sessions::delete_devices(UserId user, std::vector<DeviceId> devices) {
  co_return co_await accounts_.change_sessions(
      std::move(user),
      [devices](const kv::Snapshot& snapshot, stores::UserNumber number, stores::AccountRow&,
                kv::Batch& batch) { return end_devices(snapshot, batch, number, devices); });
}

Task<Result<std::vector<std::pair<DeviceId, stores::DeviceRow>>>> Sessions::devices(UserId user) {
  Sessions* self = this;
  using Devices = std::vector<std::pair<DeviceId, stores::DeviceRow>>;
  co_return co_await runtime::on_pool(parts_.runtime, [self, user]() -> Result<Devices> {
    POLDER_TRY(const auto number, self->accounts_.number_of(user));
    if (!number) return Devices();
    POLDER_TRY(Devices found, stores::read_devices(*self->parts_.database.snapshot(), *number));
    for (auto& [device, row] : found) {
      const auto seen = self->last_seen_.of({*number, device});
      if (!seen || seen->at_ms < row.last_seen_ms) continue;
      row.last_seen_ms = seen->at_ms;
      row.last_seen_ip = seen->address;
    }
    return found;
  });
}

void Sessions::note_seen(const Session& session, std::string_view address) {
  const bool first =
      last_seen_.note({session.number, session.device}, parts_.runtime.clock().wall_ms(), address);
  if (!first) return;
  const auto shard = parts_.runtime.shard(parts_.runtime.current_shard());
  runtime::spawn(parts_.runtime, shard, "last seen", write_seen());
}

Task<void> Sessions::write_seen() {
  co_await runtime::sleep_for(parts_.runtime, kSeenWrittenAfter);
  for (const auto& [device, seen] : last_seen_.take()) {
    auto make = [this, device, seen] { return write_seen_in_turn(device, seen); };
    const Status written =
        co_await accounts_.turns().queues().in_turn(device.user, std::move(make));
    if (!written.ok())
      parts_.runtime.log().warning("last_seen_not_written", {{"reason", written.error().message}});
  }
}

// Nobody waits for it; what the next in turn writes comes after it all the same.
Task<Status> Sessions::write_seen_in_turn(LastSeen::Device device, LastSeen::Seen seen) {
  auto read = [this, device] {
    return stores::read_device(*parts_.database.snapshot(), device.user, device.device);
  };
  POLDER_CO_TRY(auto row, co_await runtime::on_pool(parts_.runtime, std::move(read)));
  if (!row) co_return Status();
  row->last_seen_ms = seen.at_ms;
  row->last_seen_ip = seen.address;
  kv::Batch batch;
  stores::put_device(batch, device.user, device.device, *row);
  parts_.committer.enqueue(std::move(batch), kv::Durability::kLazy,
                           [](const Result<kv::Committed>&) {});
  co_return Status();
}

Task<Status> Sessions::rename_device(UserId user, DeviceId device, std::string name) {
  if (name.size() > kDisplayNameBytesMax)
    co_return fail(ErrorCode::kTooLarge, "the device's name is too long");
  co_return co_await accounts_.change(
      std::move(user),
      [device, name](const kv::Snapshot& snapshot, stores::UserNumber number, stores::AccountRow&,
                     kv::Batch& batch) -> Status {
        POLDER_TRY(auto row, stores::read_device(snapshot, number, device));
        if (!row) return fail(ErrorCode::kNotFound, "no such device");
        row->display_name = name;
        stores::put_device(batch, number, device, *row);
        // Others see the name beside the device's keys.
        stores::put_device_list_change(batch, batch.reserve_position(), number, device);
        return {};
      });
}

}  // namespace polder::users
