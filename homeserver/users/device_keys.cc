#include "homeserver/users/device_keys.h"

#include "homeserver/json/parse.h"
#include "homeserver/json/write.h"

namespace polder::users {
namespace {

constexpr size_t kKeyBytesMax = 65536;

Error bad(std::string_view what) {
  return fail(ErrorCode::kInvalid, std::string(what));
}

// A map from key ids to keys that are strings or objects with a `key`.
Status check_key_map(const json::Object& keys) {
  for (const auto& [id, key] : keys) {
    POLDER_CHECK(KeyId::parse(id));
    const bool signed_key =
        key.as_object() != nullptr && key.as_object()->find_string("key") != nullptr;
    if (!signed_key && key.as_string() == nullptr)
      return bad("a key is neither a string nor an object with a key");
    if (json::write(key).size() > kKeyBytesMax)
      return fail(ErrorCode::kTooLarge, "a key is too large");
  }
  return {};
}

// https://spec.matrix.org/v1.19/client-server-api/#device-keys
Status check_device_keys(const Session& session, const json::Object& keys) {
  const std::string* user = keys.find_string("user_id");
  const std::string* device = keys.find_string("device_id");
  const json::Array* algorithms = keys.find_array("algorithms");
  const json::Object* map = keys.find_object("keys");
  const json::Object* signatures = keys.find_object("signatures");
  if (user == nullptr || device == nullptr || algorithms == nullptr || map == nullptr ||
      signatures == nullptr) {
    return bad("device_keys needs user_id, device_id, algorithms, keys and signatures");
  }
  if (*user != session.user.view() || *device != session.device.view())
    return bad("device_keys are of another device");
  for (const json::Value& algorithm : *algorithms) {
    if (algorithm.as_string() == nullptr) return bad("an algorithm is no string");
  }
  for (const auto& [id, key] : *map) {
    POLDER_TRY(const KeyId parsed, KeyId::parse(id));
    if (key.as_string() == nullptr || parsed.name() != session.device.view())
      return bad("a device key is not named after its device");
  }
  for (const auto& [signer, by_key] : *signatures) {
    if (by_key.as_object() == nullptr) return bad("signatures must be by user and key");
    for (const auto& [id, signature] : *by_key.as_object()) {
      if (signature.as_string() == nullptr) return bad("a signature is no string");
    }
  }
  if (!json::is_canonical(keys) || json::write(keys).size() > kKeyBytesMax)
    return fail(ErrorCode::kTooLarge, "device_keys are too large");
  return {};
}

// https://spec.matrix.org/v1.19/client-server-api/#key-and-signature-security: one key, named by
// itself.
Status check_cross_signing_key(const Session& session, const json::Object& key,
                               std::string_view usage) {
  const std::string* user = key.find_string("user_id");
  const json::Array* usages = key.find_array("usage");
  const json::Object* map = key.find_object("keys");
  if (user == nullptr || usages == nullptr || map == nullptr)
    return bad("a cross-signing key needs user_id, usage and keys");
  if (*user != session.user.view()) return bad("a cross-signing key is of another user");
  if (std::ranges::find(*usages, json::Value(usage)) == usages->end())
    return bad("a cross-signing key has another usage");
  if (map->size() != 1 || map->begin()->second.as_string() == nullptr)
    return bad("a cross-signing key must be one key");
  POLDER_TRY(const KeyId id, KeyId::parse(map->begin()->first));
  if (id.name() != *map->begin()->second.as_string())
    return bad("a cross-signing key is named by itself");
  if (json::write(key).size() > kKeyBytesMax)
    return fail(ErrorCode::kTooLarge, "a cross-signing key is too large");
  return {};
}

constexpr std::pair<std::string_view, std::string_view> kUsages[] = {
    {"master_key", "master"},
    {"self_signing_key", "self_signing"},
    {"user_signing_key", "user_signing"}};

void merge_signatures(json::Object& into, const json::Object& from) {
  const json::Object* signatures = from.find_object("signatures");
  if (signatures == nullptr) return;
  if (into.find_object("signatures") == nullptr) into.set("signatures", json::Object());
  json::Object& all = *into.find("signatures")->as_object();
  for (const auto& [signer, by_key] : *signatures) {
    if (by_key.as_object() == nullptr) continue;
    if (all.find_object(signer) == nullptr) all.set(signer, json::Object());
    for (const auto& [key, signature] : *by_key.as_object())
      all.find(signer)->as_object()->set(key, signature);
  }
}

bool same_but_signatures(json::Object a, json::Object b) {
  for (json::Object* object : {&a, &b}) {
    object->erase("signatures");
    object->erase("unsigned");
  }
  return a == b;
}

}  // namespace

Task<Status> DeviceKeys::change_on_shard(stores::UserNumber user, Change change) {
  auto& queue = queues_[parts_.runtime.current_shard()][user];
  if (!queue) queue = std::make_unique<runtime::SerialQueue>(parts_.runtime);
  const auto turn = co_await queue->turn();
  DeviceKeys* self = this;
  auto batch = co_await runtime::on_pool(parts_.runtime, [self, change]() -> Result<kv::Batch> {
    kv::Batch made;
    POLDER_CHECK(change(*self->parts_.database.snapshot(), made));
    return made;
  });
  if (!batch.ok()) co_return std::move(batch).error();
  if (!batch->empty()) POLDER_CO_CHECK(co_await parts_.committer.commit(*std::move(batch)));
  co_return Status();
}

Task<Status> DeviceKeys::change(stores::UserNumber user, Change change) {
  auto make = [this, user, change = std::move(change)] { return change_on_shard(user, change); };
  co_return co_await runtime::on_shard(parts_.runtime, user % parts_.runtime.shard_count(),
                                       std::move(make));
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
    POLDER_CO_CHECK(check_device_keys(session, *keys));
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
            stores::put_device_list_change(batch, batch.reserve_position(), session.number);
          }
        }
        if (const json::Object* keys = shared->find_object("one_time_keys")) {
          POLDER_TRY(const auto counts,
                     stores::count_one_time_keys(snapshot, session.number, session.device));
          size_t total = keys->size();
          for (const auto& [algorithm, count] : counts)
            total += static_cast<size_t>(count);
          if (total > kOneTimeKeysMax) return fail(ErrorCode::kTooLarge, "too many one-time keys");
          for (const auto& [id, key] : *keys) {
            const KeyId parsed = KeyId::trusted(id);
            const std::string text = json::write(key);
            POLDER_TRY(const auto known,
                       stores::read_one_time_key(snapshot, session.number, session.device, parsed));
            if (known && *known != text)
              return bad("one-time key " + id + " exists already and is another");
            stores::put_one_time_key(batch, session.number, session.device, parsed, text);
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

Task<Result<json::Object>> DeviceKeys::query(
    UserId asker, std::vector<std::pair<UserId, std::vector<std::string>>> wanted) {
  DeviceKeys* self = this;
  auto shared = std::make_shared<const std::vector<std::pair<UserId, std::vector<std::string>>>>(
      std::move(wanted));
  co_return co_await runtime::on_pool(
      parts_.runtime, [self, asker, shared]() -> Result<json::Object> {
        const auto snapshot = self->parts_.database.snapshot();
        json::Object devices, masters, self_signing, user_signing;
        POLDER_TRY(const auto asker_number,
                   self->parts_.names.find(stores::NameKind::kUser, asker.view()));
        for (const auto& [user, only] : *shared) {
          POLDER_TRY(const auto number,
                     self->parts_.names.find(stores::NameKind::kUser, user.view()));
          if (!number) continue;
          POLDER_TRY(const auto stored, stores::read_device_keys(*snapshot, *number));
          json::Object of_user;
          for (const auto& [device, text] : stored) {
            if (!only.empty() && std::ranges::find(only, device.str()) == only.end()) continue;
            POLDER_TRY(json::Object keys, json::parse_object(text));
            POLDER_TRY(const auto row, stores::read_device(*snapshot, *number, device));
            if (row && !row->display_name.empty())
              keys.set("unsigned", json::object({{"device_display_name", row->display_name}}));
            of_user.set(device.str(), std::move(keys));
          }
          devices.set(user.str(), std::move(of_user));
          for (const auto& [name, usage] : kUsages) {
            // The user-signing key is its owner's alone.
            if (usage == "user_signing" && user != asker) continue;
            POLDER_TRY(const auto text, stores::read_cross_signing_key(*snapshot, *number, usage));
            if (!text) continue;
            POLDER_TRY(json::Object key, json::parse_object(*text));
            if (usage == "master" && asker_number && user != asker) {
              POLDER_TRY(const auto signatures,
                         stores::read_signature_of_other(*snapshot, *asker_number, user));
              if (signatures) {
                POLDER_TRY(json::Object signed_by_asker, json::parse_object(*signatures));
                merge_signatures(key, {{"signatures", std::move(signed_by_asker)}});
              }
            }
            (usage == "master"         ? masters
             : usage == "self_signing" ? self_signing
                                       : user_signing)
                .set(user.str(), std::move(key));
          }
        }
        return json::Object{{"device_keys", devices},
                            {"master_keys", masters},
                            {"self_signing_keys", self_signing},
                            {"user_signing_keys", user_signing}};
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
    POLDER_CO_CHECK(check_cross_signing_key(session, *key->as_object(), usage));
  }
  auto shared = std::make_shared<const json::Object>(std::move(body));
  co_return co_await change(
      session.number, [session, shared](const kv::Snapshot&, kv::Batch& batch) -> Status {
        for (const auto& [name, usage] : kUsages) {
          if (const json::Object* key = shared->find_object(name))
            stores::put_cross_signing_key(batch, session.number, usage, json::write(*key));
        }
        stores::put_device_list_change(batch, batch.reserve_position(), session.number);
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
        bool changed = false;
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
            changed = true;
          }
        }
        if (changed)
          stores::put_device_list_change(batch, batch.reserve_position(), session.number);
        return {};
      }));
  co_return std::move(*failures);
}

Task<Result<std::vector<stores::UserNumber>>> DeviceKeys::send_to_devices(UserId sender,
                                                                          std::string type,
                                                                          json::Object messages) {
  DeviceKeys* self = this;
  auto shared = std::make_shared<const json::Object>(std::move(messages));
  auto news = std::make_shared<std::vector<stores::UserNumber>>();
  auto batch = co_await runtime::on_pool(
      parts_.runtime, [self, sender, type, shared, news]() -> Result<kv::Batch> {
        const auto snapshot = self->parts_.database.snapshot();
        kv::Batch made;
        for (const auto& [user, by_device] : *shared) {
          if (by_device.as_object() == nullptr) return bad("messages must be by user and device");
          POLDER_TRY(const auto number, self->parts_.names.find(stores::NameKind::kUser, user));
          if (!number) continue;
          POLDER_TRY(const auto devices, stores::read_devices(*snapshot, *number));
          for (const auto& [target, content] : *by_device.as_object()) {
            if (content.as_object() == nullptr) return bad("a message's content must be an object");
            const std::string text = json::write(
                json::Object{{"content", content}, {"sender", sender.str()}, {"type", type}});
            if (text.size() > kToDeviceBytesMax)
              return fail(ErrorCode::kTooLarge, "a message is too large");
            for (const auto& [device, row] : devices) {
              if (target != "*" && target != device.view()) continue;
              stores::put_to_device(made, *number, device, made.reserve_position(), text);
              news->push_back(*number);
            }
          }
          if (made.position_count() > kToDeviceMessagesMax)
            return fail(ErrorCode::kTooLarge, "too many messages at once");
        }
        return made;
      });
  if (!batch.ok()) co_return std::move(batch).error();
  if (!batch->empty()) POLDER_CO_CHECK(co_await parts_.committer.commit(*std::move(batch)));
  co_return std::move(*news);
}

void DeviceKeys::acknowledge(stores::UserNumber user, DeviceId device, kv::Position up_to) {
  kv::Batch batch;
  stores::erase_to_device(batch, user, device, up_to);
  parts_.committer.enqueue(std::move(batch), kv::Durability::kLazy,
                           [](const Result<kv::Committed>&) {});
}

}  // namespace polder::users
