// Keys that sign each other as clients make them: for tests.
#pragma once

#include "homeserver/base/values/bytes.h"
#include "homeserver/protocol/events/signing.h"

namespace polder::users {

// A key with this name, or named by its public part (one of those that fit a SigningKey's name).
inline crypto::SigningKey signing_key(const std::string& name = "") {
  base::SystemRandom random;
  for (;;) {
    const std::string seed = base::base64_encode(as_bytes(random.bytes(32)));
    const auto unnamed = crypto::SigningKey::from_seed(KeyId::trusted("ed25519:x"), seed);
    const std::string chosen = name.empty() ? unnamed->verify_key().to_base64() : name;
    auto key = crypto::SigningKey::from_seed(KeyId::trusted("ed25519:" + chosen), seed);
    if (key.ok()) return *std::move(key);
  }
}

inline json::Object cross_signing_key(const UserId& user, const std::string& usage,
                                      const crypto::SigningKey& key) {
  const std::string name = key.verify_key().to_base64();
  return {{"user_id", user.str()},
          {"usage", json::Array{usage}},
          {"keys", json::object({{"ed25519:" + name, name}})}};
}

inline json::Object signed_by(json::Object object, const UserId& user,
                              const crypto::SigningKey& key) {
  events::sign_json(object, user.view(), key);
  return object;
}

// Of a device, whose key is named after it.
inline json::Object device_keys_of(const UserId& user, const crypto::SigningKey& key) {
  return signed_by({{"user_id", user.str()},
                    {"device_id", key.id().name()},
                    {"algorithms", json::Array{"m.olm.v1.curve25519-aes-sha2"}},
                    {"keys", json::object({{key.id().str(), key.verify_key().to_base64()}})}},
                   user, key);
}

// The three keys of a user.
struct CrossSigningKeys {
  explicit CrossSigningKeys(UserId owner) : user(std::move(owner)) {}

  json::Object master_key() const { return cross_signing_key(user, "master", master); }
  json::Object self_signing_key() const {
    return signed_by(cross_signing_key(user, "self_signing", self_signing), user, master);
  }
  json::Object user_signing_key() const {
    return signed_by(cross_signing_key(user, "user_signing", user_signing), user, master);
  }
  // The body of keys/device_signing/upload.
  json::Object upload() const {
    return {{"master_key", master_key()},
            {"self_signing_key", self_signing_key()},
            {"user_signing_key", user_signing_key()}};
  }

  UserId user;
  crypto::SigningKey master = signing_key();
  crypto::SigningKey self_signing = signing_key();
  crypto::SigningKey user_signing = signing_key();
};

}  // namespace polder::users
