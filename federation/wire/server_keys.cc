#include "federation/wire/server_keys.h"

#include "homeserver/protocol/events/signing.h"

namespace polder::wire {
namespace {

constexpr size_t kKeysMax = 100;

// The key in {"key": ...}; nothing if it is none, or of an algorithm that is not known here.
std::optional<std::pair<KeyId, crypto::VerifyKey>> read_key(const json::Object::Member& member) {
  const auto id = KeyId::parse(member.first);
  const json::Object* object = member.second.as_object();
  if (!id.ok() || id->algorithm() != "ed25519" || object == nullptr) return {};
  const std::string* text = object->find_string("key");
  if (text == nullptr) return {};
  const auto key = crypto::VerifyKey::from_base64(*text);
  if (!key.ok()) return {};
  return std::pair(*id, *key);
}

}  // namespace

json::Object write_server_keys(const ServerName& server, const crypto::SigningKey& key,
                               const std::map<KeyId, OldKey>& old, int64_t valid_until_ts) {
  json::Object old_keys;
  for (const auto& [id, retired] : old) {
    old_keys.set(id.str(), json::object({{"key", retired.key.to_base64()},
                                         {"expired_ts", retired.expired_ts}}));
  }
  json::Object answer{
      {"server_name", server.str()},
      {"valid_until_ts", valid_until_ts},
      {"verify_keys",
       json::object({{key.id().str(), json::object({{"key", key.verify_key().to_base64()}})}})},
      {"old_verify_keys", std::move(old_keys)}};
  events::sign_json(answer, server.view(), key);
  return answer;
}

Result<ServerKeys> read_server_keys(const json::Object& answer, const ServerName& server) {
  const std::string* name = answer.find_string("server_name");
  if (name == nullptr || *name != server.view())
    return fail(ErrorCode::kInvalid, "the keys are not those of " + server.str());
  const auto valid_until = answer.find_int("valid_until_ts");
  const json::Object* current = answer.find_object("verify_keys");
  if (!valid_until || *valid_until < 0 || current == nullptr)
    return fail(ErrorCode::kInvalid, "valid_until_ts or verify_keys is missing");
  const json::Object* old = answer.find_object("old_verify_keys");
  if (current->size() > kKeysMax || (old != nullptr && old->size() > kKeysMax))
    return fail(ErrorCode::kTooLarge, "too many keys");
  ServerKeys keys;
  keys.server = server;
  keys.valid_until_ts = *valid_until;
  for (const auto& member : *current) {
    const auto key = read_key(member);
    if (key && events::verify_json(answer, server.view(), key->first, key->second))
      keys.current.insert(*key);
  }
  if (keys.current.empty())
    return fail(ErrorCode::kBadSignature, "no key of " + server.str() + " signs its keys");
  if (old == nullptr) return keys;
  for (const auto& member : *old) {
    const auto key = read_key(member);
    const auto expired =
        key ? member.second.as_object()->find_int("expired_ts") : std::optional<int64_t>();
    if (expired && !keys.current.contains(key->first))
      keys.old.emplace(key->first, OldKey{key->second, *expired});
  }
  return keys;
}

}  // namespace polder::wire
