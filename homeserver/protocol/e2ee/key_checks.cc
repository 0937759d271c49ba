#include "homeserver/protocol/e2ee/key_checks.h"

#include <algorithm>

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"

namespace polder::e2ee {
namespace {

Error bad(std::string_view what) {
  return fail(ErrorCode::kInvalid, std::string(what));
}

Status check_signatures(const json::Object& signatures) {
  for (const auto& [signer, by_key] : signatures) {
    if (by_key.as_object() == nullptr) return bad("signatures must be by user and key");
    for (const auto& [id, signature] : *by_key.as_object()) {
      if (signature.as_string() == nullptr)
        return fail(ErrorCode::kBadSignature, "a signature is no string");
    }
  }
  return {};
}

template <class Keep>
void keep_signatures_if(json::Object& object, const Keep& keep) {
  const json::Object* signatures = object.find_object("signatures");
  if (signatures == nullptr) return;
  json::Object kept;
  for (const auto& [signer, by_key] : *signatures) {
    if (by_key.as_object() == nullptr) continue;
    json::Object some;
    for (const auto& one : *by_key.as_object()) {
      if (keep(one)) some.set(one.first, one.second);
    }
    kept.set(signer, std::move(some));
  }
  object.set("signatures", std::move(kept));
}

Status check_size(const json::Object& object) {
  if (!json::is_canonical(object)) return bad("numbers must be integers");
  if (json::write(object).size() > kKeyBytesMax)
    return fail(ErrorCode::kTooLarge, "a key is too large");
  return {};
}

}  // namespace

Status check_device_keys(const UserId& user, const DeviceId& device, const json::Object& keys) {
  const std::string* user_id = keys.find_string("user_id");
  const std::string* device_id = keys.find_string("device_id");
  const json::Array* algorithms = keys.find_array("algorithms");
  const json::Object* map = keys.find_object("keys");
  const json::Object* signatures = keys.find_object("signatures");
  if (user_id == nullptr || device_id == nullptr || algorithms == nullptr || map == nullptr ||
      signatures == nullptr) {
    return bad("device_keys needs user_id, device_id, algorithms, keys and signatures");
  }
  if (*user_id != user.view() || *device_id != device.view())
    return bad("device_keys are of another device");
  for (const json::Value& algorithm : *algorithms) {
    if (algorithm.as_string() == nullptr) return bad("an algorithm is no string");
  }
  for (const auto& [id, key] : *map) {
    POLDER_TRY(const KeyId parsed, KeyId::parse(id));
    if (key.as_string() == nullptr || parsed.name() != device.view())
      return bad("a device key is not named after its device");
  }
  POLDER_CHECK(check_signatures(*signatures));
  return check_size(keys);
}

Status check_cross_signing_key(const UserId& user, std::string_view usage,
                               const json::Object& key) {
  const std::string* user_id = key.find_string("user_id");
  const json::Array* usages = key.find_array("usage");
  const json::Object* map = key.find_object("keys");
  if (user_id == nullptr || usages == nullptr || map == nullptr)
    return bad("a cross-signing key needs user_id, usage and keys");
  if (*user_id != user.view()) return bad("a cross-signing key is of another user");
  if (std::ranges::find(*usages, json::Value(usage)) == usages->end())
    return bad("a cross-signing key has another usage");
  if (map->size() != 1 || map->begin()->second.as_string() == nullptr)
    return bad("a cross-signing key must be one key");
  POLDER_TRY(const KeyId id, KeyId::parse(map->begin()->first));
  if (id.name() != *map->begin()->second.as_string())
    return bad("a cross-signing key is named by itself");
  if (const json::Value* signatures = key.find("signatures")) {
    if (signatures->as_object() == nullptr) return bad("signatures must be an object");
    POLDER_CHECK(check_signatures(*signatures->as_object()));
  }
  return check_size(key);
}

std::string_view name_of_cross_signing_key(const json::Object& key) {
  const std::string_view id = key.find_object("keys")->begin()->first;
  return id.substr(id.find(':') + 1);
}

Status check_key_map(const json::Object& keys) {
  for (const auto& [id, key] : keys) {
    POLDER_CHECK(KeyId::parse(id));
    const bool signed_key =
        key.as_object() != nullptr && key.as_object()->find_string("key") != nullptr;
    if (!signed_key && key.as_string() == nullptr)
      return bad("a key is neither a string nor an object with a key");
    if (!json::is_canonical(key)) return bad("numbers must be integers");
    if (json::write(key).size() > kKeyBytesMax)
      return fail(ErrorCode::kTooLarge, "a key is too large");
  }
  return {};
}

json::Object with_signatures_of(const UserId& user, json::Object object) {
  const json::Object* all = object.find_object("signatures");
  if (all == nullptr) return object;
  json::Object own;
  if (const json::Object* by_key = all->find_object(user.view())) own.set(user.str(), *by_key);
  object.set("signatures", std::move(own));
  return object;
}

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

std::optional<json::Object> stored_key(std::string_view text) {
  auto key = json::parse_object(text, {.max_bytes = text.size()});
  if (!key.ok()) return {};
  keep_signatures_if(*key, [](const auto& one) { return one.second.as_string() != nullptr; });
  if (check_size(*key).ok()) return *std::move(key);
  // Without what other keys signed of it.
  const json::Object* own = key->find_object("keys");
  const json::Object keys = own != nullptr ? *own : json::Object();
  keep_signatures_if(*key, [&](const auto& one) { return keys.contains(one.first); });
  if (check_size(*key).ok()) return *std::move(key);
  return {};
}

}  // namespace polder::e2ee
