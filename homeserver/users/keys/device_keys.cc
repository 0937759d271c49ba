#include "homeserver/users/keys/device_keys.h"

#include <algorithm>
#include <set>

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/protocol/e2ee/key_checks.h"
#include "homeserver/users/keys/key_signatures.h"

namespace polder::users {
namespace {

Error bad(std::string_view what) {
  return fail(ErrorCode::kInvalid, std::string(what));
}

Status check_upload(const Session& session, const json::Object& body) {
  for (const std::string_view key : {"device_keys", "one_time_keys", "fallback_keys"}) {
    if (body.contains(key) && body.find_object(key) == nullptr)
      return bad(std::string(key).append(" must be an object"));
  }
  if (const json::Object* keys = body.find_object("device_keys"))
    POLDER_CHECK(e2ee::check_device_keys(session.user, session.device, *keys));
  for (const std::string_view list : {"one_time_keys", "fallback_keys"}) {
    const json::Object* keys = body.find_object(list);
    if (keys == nullptr) continue;
    POLDER_CHECK(e2ee::check_key_map(*keys));
    for (const auto& [id, key] : *keys) {
      if (json::write(key).size() > kOneTimeKeyBytesMax)
        return fail(ErrorCode::kTooLarge, "a one-time key is too large");
    }
  }
  return {};
}

// Of other devices than this one.
Result<size_t> bytes_of_other_devices(const kv::Snapshot& snapshot, const Session& session) {
  POLDER_TRY(const auto all, stores::read_device_keys(snapshot, session.number));
  size_t bytes = 0;
  for (const auto& [device, text] : all)
    bytes += device != session.device ? text.size() : 0;
  return bytes;
}

// The same keys again keep what was signed of them since.
Status put_keys_of_device(const kv::Snapshot& snapshot, kv::Batch& batch, const Session& session,
                          json::Object keys) {
  keys = e2ee::with_signatures_of(session.user, std::move(keys));
  keys.erase("unsigned");
  POLDER_TRY(const auto before,
             stores::read_device_keys_of(snapshot, session.number, session.device));
  const auto known = before ? e2ee::stored_key(*before) : std::nullopt;
  if (known && same_but_signatures(*known, keys))
    keep_signatures(keys, *known, session.user, session.device);
  const std::string text = json::write(keys);
  if (before == text) return {};
  POLDER_TRY(const size_t others, bytes_of_other_devices(snapshot, session));
  if (text.size() > kDeviceKeysBytesMax || others + text.size() > kUserKeysBytesMax)
    return fail(ErrorCode::kTooLarge, "the keys of the user's devices are too large");
  stores::put_device_keys(batch, session.number, session.device, text);
  stores::put_device_list_change(batch, batch.reserve_position(), session.number, session.device);
  return {};
}

// Whether a one-time key is the one that is there, whoever uploads it: a client that does not know
// whether its upload was taken may sign it anew.
Result<bool> same_one_time_key(const std::string& known, const json::Value& given) {
  POLDER_TRY(const json::Value before, json::parse(known));
  const json::Object* a = before.as_object();
  const json::Object* b = given.as_object();
  return a != nullptr && b != nullptr ? same_but_signatures(*a, *b) : before == given;
}

Status put_one_time_keys(const kv::Snapshot& snapshot, kv::Batch& batch, const Session& session,
                         const json::Object& keys) {
  POLDER_TRY(auto counts, stores::count_one_time_keys(snapshot, session.number, session.device));
  size_t total = keys.size();
  for (const auto& [algorithm, count] : counts)
    total += static_cast<size_t>(count);
  if (total > kOneTimeKeysMax) return fail(ErrorCode::kTooLarge, "too many one-time keys");
  std::optional<kv::PositionSlot> slot;
  for (const auto& [id, key] : keys) {
    const KeyId parsed = KeyId::trusted(id);
    ++counts[std::string(parsed.algorithm())];
    const std::string text = json::write(key);
    POLDER_TRY(const auto known,
               stores::read_one_time_key(snapshot, session.number, session.device, parsed));
    if (known) {
      POLDER_TRY(const bool same, same_one_time_key(*known, key));
      if (!same) return bad("one-time key " + id + " exists already and is another");
      continue;
    }
    // "Each one-time key is only claimed once". The client learns from the counts that there are
    // fewer than it thought, and makes new ones.
    POLDER_TRY(const bool claimed,
               stores::was_claimed(snapshot, session.number, session.device, parsed));
    if (claimed) continue;
    if (!slot) slot = batch.reserve_position();
    stores::put_one_time_key(batch, session.number, session.device, parsed, text, *slot);
  }
  if (counts.size() > kKeyAlgorithmsMax)
    return fail(ErrorCode::kTooLarge, "too many algorithms of one-time keys");
  return stores::forget_claimed_keys(snapshot, batch, session.number, session.device,
                                     kClaimedKeysKept);
}

// "There can only be at most one key per algorithm uploaded."
Status put_fallback_keys(const kv::Snapshot& snapshot, kv::Batch& batch, const Session& session,
                         const json::Object& keys) {
  POLDER_TRY(const auto known,
             stores::read_fallback_keys(snapshot, session.number, session.device));
  std::set<std::string, std::less<>> algorithms;
  for (const auto& [id, key] : keys) {
    stores::FallbackKeyRow row;
    row.key = KeyId::trusted(id);
    row.json = json::write(key);
    if (!algorithms.emplace(row.key.algorithm()).second)
      return bad("two fallback keys of one algorithm");
    row.used = std::ranges::any_of(known, [&](const stores::FallbackKeyRow& before) {
      return before.used && before.key == row.key && before.json == row.json;
    });
    stores::put_fallback_key(batch, session.number, session.device, row);
  }
  for (const stores::FallbackKeyRow& row : known)
    algorithms.emplace(row.key.algorithm());
  if (algorithms.size() > kKeyAlgorithmsMax)
    return fail(ErrorCode::kTooLarge, "too many algorithms of fallback keys");
  return {};
}

}  // namespace

Task<Result<std::map<std::string, int64_t>>> DeviceKeys::upload(Session session,
                                                                json::Object body) {
  POLDER_CO_CHECK(check_upload(session, body));
  auto shared = std::make_shared<const json::Object>(std::move(body));
  POLDER_CO_CHECK(co_await turns_.change_of(
      session, [session, shared](const kv::Snapshot& snapshot, kv::Batch& batch) -> Status {
        if (const json::Object* keys = shared->find_object("device_keys"))
          POLDER_CHECK(put_keys_of_device(snapshot, batch, session, *keys));
        if (const json::Object* keys = shared->find_object("one_time_keys"))
          POLDER_CHECK(put_one_time_keys(snapshot, batch, session, *keys));
        if (const json::Object* keys = shared->find_object("fallback_keys"))
          POLDER_CHECK(put_fallback_keys(snapshot, batch, session, *keys));
        return {};
      }));
  DeviceKeys* self = this;
  co_return co_await runtime::on_pool(parts_.runtime, [self, session] {
    return stores::count_one_time_keys(*self->parts_.database.snapshot(), session.number,
                                       session.device);
  });
}

}  // namespace polder::users
