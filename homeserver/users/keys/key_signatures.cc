#include "homeserver/users/keys/key_signatures.h"

#include <algorithm>

#include "homeserver/protocol/events/signing.h"

namespace polder::users {
namespace {

constexpr std::string_view kAlgorithm = "ed25519";

// What the user signed of the object, by key; null if nothing.
const json::Object* signatures_by(const json::Object& object, const UserId& user) {
  const json::Object* all = object.find_object("signatures");
  return all != nullptr ? all->find_object(user.view()) : nullptr;
}

bool is_right(std::string_view signed_bytes, const std::string& id, const json::Value& signature,
              const PublicKeys& keys) {
  const auto key = keys.find(id);
  if (key == keys.end() || signature.as_string() == nullptr) return false;
  const auto public_key = crypto::VerifyKey::from_base64(key->second);
  const auto bytes = crypto::signature_from_base64(*signature.as_string());
  return public_key.ok() && bytes.ok() && public_key->verify(signed_bytes, *bytes);
}

void set_signatures(json::Object& object, const UserId& user, json::Object by_key) {
  if (by_key.empty() && signatures_by(object, user) == nullptr) return;
  if (object.find_object("signatures") == nullptr) object.set("signatures", json::Object());
  object.find("signatures")->as_object()->set(user.str(), std::move(by_key));
}

}  // namespace

PublicKeys public_keys_of(const json::Object& object) {
  PublicKeys found;
  const json::Object* keys = object.find_object("keys");
  if (keys == nullptr) return found;
  for (const auto& [id, key] : *keys) {
    const auto parsed = KeyId::parse(id);
    if (parsed.ok() && parsed->algorithm() == kAlgorithm && key.as_string() != nullptr)
      found.emplace(id, *key.as_string());
  }
  return found;
}

bool same_but_signatures(json::Object a, json::Object b) {
  for (json::Object* object : {&a, &b}) {
    object->erase("signatures");
    object->erase("unsigned");
  }
  return a == b;
}

Status add_signatures(json::Object& known, const json::Object& given, const UserId& user,
                      const PublicKeys& keys, Unknown unknown) {
  json::Object kept;
  const json::Object* before = signatures_by(known, user);
  if (before != nullptr) {
    for (const auto& [id, signature] : *before) {
      if (keys.contains(id)) kept.set(id, signature);
    }
  }
  const json::Object* added = signatures_by(given, user);
  if (added == nullptr && unknown == Unknown::kRefuse)
    return fail(ErrorCode::kBadSignature, "nothing is signed");
  const std::string signed_bytes = events::signed_bytes_of_json(given);
  for (const auto& [id, signature] : added != nullptr ? *added : json::Object()) {
    if (before != nullptr && before->contains(id) && *before->find(id) == signature) continue;
    if (!keys.contains(id) && unknown == Unknown::kLeaveOut) continue;
    if (!is_right(signed_bytes, id, signature, keys))
      return fail(ErrorCode::kBadSignature, "a signature is not right");
    kept.set(id, signature);
  }
  set_signatures(known, user, std::move(kept));
  return {};
}

bool is_signed(const json::Object& object, const UserId& user, const PublicKeys& keys) {
  const json::Object* by_key = signatures_by(object, user);
  if (by_key == nullptr) return false;
  const std::string signed_bytes = events::signed_bytes_of_json(object);
  return std::any_of(by_key->begin(), by_key->end(), [&](const auto& one) {
    return is_right(signed_bytes, one.first, one.second, keys);
  });
}

void keep_signatures(json::Object& uploaded, const json::Object& known, const UserId& user,
                     const DeviceId& device) {
  const json::Object* before = signatures_by(known, user);
  if (before == nullptr) return;
  const json::Object* now = signatures_by(uploaded, user);
  json::Object by_key = now != nullptr ? *now : json::Object();
  for (const auto& [id, signature] : *before) {
    if (id.substr(id.find(':') + 1) != device.view() || !by_key.contains(id))
      by_key.set(id, signature);
  }
  set_signatures(uploaded, user, std::move(by_key));
}

}  // namespace polder::users
