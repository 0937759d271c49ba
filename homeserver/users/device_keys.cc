#include "homeserver/users/device_keys.h"

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "homeserver/users/key_checks.h"

namespace polder::users {
namespace {

Error bad(std::string_view what) {
  return fail(ErrorCode::kInvalid, std::string(what));
}

constexpr std::pair<std::string_view, std::string_view> kUsages[] = {
    {"master_key", "master"},
    {"self_signing_key", "self_signing"},
    {"user_signing_key", "user_signing"}};

bool same_but_signatures(json::Object a, json::Object b) {
  for (json::Object* object : {&a, &b}) {
    object->erase("signatures");
    object->erase("unsigned");
  }
  return a == b;
}

}  // namespace

Task<Status> DeviceKeys::change_in_turn(Change change) {
  DeviceKeys* self = this;
  auto batch = co_await runtime::on_pool(
      parts_.runtime, runtime::Lane::kShort, [self, change]() -> Result<kv::Batch> {
        kv::Batch made;
        POLDER_CHECK(change(*self->parts_.database.snapshot(), made));
        return made;
      });
  if (!batch.ok()) co_return std::move(batch).error();
  if (!batch->empty()) POLDER_CO_CHECK(co_await parts_.committer.commit(*std::move(batch)));
  co_return Status();
}

Task<Status> DeviceKeys::change(stores::UserNumber user, Change change) {
  auto make = [this, change = std::move(change)] { return change_in_turn(change); };
  co_return co_await queues_.in_turn(user, std::move(make));
}

Task<Result<std::map<std::string, int64_t>>> DeviceKeys::upload(Session session,
                                                                json::Object body) {
  const auto object_or_absent = [&](std::string_view key) {
    return body.find(key) == nullptr || body.find_object(key) != nullptr;
  };
  for (const std::string_view key : {"device_keys", "one_time_keys", "fallback_keys"}) {
    if (!object_or_absent(key)) co_return bad(std::string(key).append(" must be an object"));
  }
  if (const json::Object* keys = body.find_object("device_keys"))
    POLDER_CO_CHECK(check_device_keys(session.user, session.device, *keys));
  for (const std::string_view key : {"one_time_keys", "fallback_keys"}) {
    if (const json::Object* keys = body.find_object(key)) POLDER_CO_CHECK(check_key_map(*keys));
  }
  auto shared = std::make_shared<const json::Object>(std::move(body));
  POLDER_CO_CHECK(co_await change(
      session.number, [session, shared](const kv::Snapshot& snapshot, kv::Batch& batch) -> Status {
        if (const json::Object* keys = shared->find_object("device_keys")) {
          const std::string text = json::write(*keys);
          POLDER_TRY(const auto known,
                     stores::read_device_keys_of(snapshot, session.number, session.device));
          if (known != text) {
            stores::put_device_keys(batch, session.number, session.device, text);
            stores::put_device_list_change(batch, batch.reserve_position(), session.number,
                                           session.device);
          }
        }
        if (const json::Object* keys = shared->find_object("one_time_keys")) {
          POLDER_TRY(const auto counts,
                     stores::count_one_time_keys(snapshot, session.number, session.device));
          size_t total = keys->size();
          for (const auto& [algorithm, count] : counts)
            total += static_cast<size_t>(count);
          if (total > kOneTimeKeysMax) return fail(ErrorCode::kTooLarge, "too many one-time keys");
          std::optional<kv::PositionSlot> slot;
          for (const auto& [id, key] : *keys) {
            const KeyId parsed = KeyId::trusted(id);
            const std::string text = json::write(key);
            POLDER_TRY(const auto known,
                       stores::read_one_time_key(snapshot, session.number, session.device, parsed));
            if (known && *known != text)
              return bad("one-time key " + id + " exists already and is another");
            if (known) continue;
            if (!slot) slot = batch.reserve_position();
            stores::put_one_time_key(batch, session.number, session.device, parsed, text, *slot);
          }
        }
        if (const json::Object* keys = shared->find_object("fallback_keys")) {
          for (const auto& [id, key] : *keys) {
            stores::FallbackKeyRow row;
            row.key = KeyId::trusted(id);
            row.json = json::write(key);
            stores::put_fallback_key(batch, session.number, session.device, row);
          }
        }
        return {};
      }));
  DeviceKeys* self = this;
  co_return co_await runtime::on_pool(parts_.runtime, [self, session] {
    return stores::count_one_time_keys(*self->parts_.database.snapshot(), session.number,
                                       session.device);
  });
}

Task<Result<json::Object>> DeviceKeys::claim(
    std::vector<std::tuple<UserId, DeviceId, std::string>> wanted) {
  auto claimed = std::make_shared<json::Object>();
  for (const auto& one : wanted) {
    const UserId user = std::get<0>(one);
    const DeviceId device = std::get<1>(one);
    const std::string algorithm = std::get<2>(one);
    DeviceKeys* self = this;
    const auto number = co_await runtime::on_pool(parts_.runtime, [self, user] {
      return self->parts_.names.find(stores::NameKind::kUser, user.view());
    });
    if (!number.ok()) co_return number.error();
    if (!*number) continue;
    const stores::UserNumber owner = **number;
    // In the owner's turn, so that no key is given twice.
    POLDER_CO_CHECK(co_await change(
        owner,
        [claimed, user, device, algorithm, owner](const kv::Snapshot& snapshot,
                                                  kv::Batch& batch) -> Status {
          std::optional<std::pair<KeyId, std::string>> key;
          POLDER_TRY(key, stores::first_one_time_key(snapshot, owner, device, algorithm));
          if (key) {
            stores::erase_one_time_key(batch, owner, device, key->first);
          } else {
            POLDER_TRY(auto fallbacks, stores::read_fallback_keys(snapshot, owner, device));
            for (stores::FallbackKeyRow& row : fallbacks) {
              if (row.key.algorithm() != algorithm) continue;
              key.emplace(row.key, row.json);
              row.used = true;
              stores::put_fallback_key(batch, owner, device, row);
            }
          }
          if (!key) return {};
          POLDER_TRY(json::Value value, json::parse(key->second));
          if (claimed->find_object(user.view()) == nullptr)
            claimed->set(user.str(), json::Object());
          claimed->find(user.view())
              ->as_object()
              ->set(device.str(), json::object({{key->first.str(), std::move(value)}}));
          return {};
        }));
  }
  co_return std::move(*claimed);
}

Task<Result<bool>> DeviceKeys::would_replace_master_key(stores::UserNumber user,
                                                        json::Object body) {
  DeviceKeys* self = this;
  auto shared = std::make_shared<const json::Object>(std::move(body));
  co_return co_await runtime::on_pool(parts_.runtime, [self, user, shared]() -> Result<bool> {
    POLDER_TRY(const auto known,
               stores::read_cross_signing_key(*self->parts_.database.snapshot(), user, "master"));
    const json::Object* master = shared->find_object("master_key");
    if (!known) return false;
    POLDER_TRY(json::Object old, json::parse_object(*known));
    return master == nullptr || !same_but_signatures(old, *master);
  });
}

Task<Status> DeviceKeys::upload_cross_signing(Session session, json::Object body) {
  for (const auto& [name, usage] : kUsages) {
    const json::Value* key = body.find(name);
    if (key == nullptr) continue;
    if (key->as_object() == nullptr) co_return bad(std::string(name).append(" must be an object"));
    POLDER_CO_CHECK(check_cross_signing_key(session.user, usage, *key->as_object()));
  }
  auto shared = std::make_shared<const json::Object>(std::move(body));
  co_return co_await change(
      session.number, [session, shared](const kv::Snapshot&, kv::Batch& batch) -> Status {
        for (const auto& [name, usage] : kUsages) {
          if (const json::Object* key = shared->find_object(name))
            stores::put_cross_signing_key(batch, session.number, usage, json::write(*key));
        }
        stores::put_device_list_change(batch, batch.reserve_position(), session.number, {});
        return {};
      });
}

Task<Result<json::Object>> DeviceKeys::upload_signatures(Session session, json::Object body) {
  auto shared = std::make_shared<const json::Object>(std::move(body));
  auto failures = std::make_shared<json::Object>();
  const auto not_found = json::object({{"errcode", "M_NOT_FOUND"}, {"error", "Unknown key"}});
  POLDER_CO_CHECK(co_await change(
      session.number,
      [session, shared, failures, not_found](const kv::Snapshot& snapshot,
                                             kv::Batch& batch) -> Status {
        for (const auto& [user, targets] : *shared) {
          if (targets.as_object() == nullptr) return bad("signatures must be by user and key");
          for (const auto& [target, signed_object] : *targets.as_object()) {
            if (signed_object.as_object() == nullptr)
              return bad("a signed object must be an object");
            const json::Object& given = *signed_object.as_object();
            if (user != session.user.view()) {
              const json::Object* by_user = given.find_object("signatures");
              const json::Object* mine =
                  by_user != nullptr ? by_user->find_object(session.user.view()) : nullptr;
              if (mine != nullptr) {
                stores::put_signature_of_other(
                    batch, session.number, UserId::trusted(user),
                    json::write(json::Object{{session.user.str(), *mine}}));
              }
              continue;
            }
            const DeviceId device = DeviceId::trusted(target);
            POLDER_TRY(const auto device_keys,
                       stores::read_device_keys_of(snapshot, session.number, device));
            POLDER_TRY(const auto master,
                       stores::read_cross_signing_key(snapshot, session.number, "master"));
            const auto& known = device_keys ? device_keys : master;
            json::Object merged;
            if (known) {
              POLDER_TRY(merged, json::parse_object(*known));
            }
            if (!known || !same_but_signatures(merged, given)) {
              if (failures->find_object(user) == nullptr) failures->set(user, json::Object());
              failures->find(user)->as_object()->set(target, not_found);
              continue;
            }
            merge_signatures(merged, given);
            if (device_keys) {
              stores::put_device_keys(batch, session.number, device, json::write(merged));
            } else {
              stores::put_cross_signing_key(batch, session.number, "master", json::write(merged));
            }
            stores::put_device_list_change(batch, batch.reserve_position(), session.number,
                                           device_keys ? device : DeviceId());
          }
        }
        return {};
      }));
  co_return std::move(*failures);
}

}  // namespace polder::users
