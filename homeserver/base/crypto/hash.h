// Hashes, message authentication, passwords and access tokens. Pure; thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "homeserver/base/values/bytes.h"
#include "homeserver/base/values/environment.h"

namespace polder::crypto {

Digest sha256(std::string_view data);
// The same of data that comes in pieces. A value; not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&& other) noexcept;
  Sha256& operator=(Sha256&&) = delete;
  void add(std::string_view data);
  Digest finish();  // once

 private:
  struct State;
  std::unique_ptr<State> state_;
};
// Only for what the protocol orders by it (state resolution of room version 1).
std::array<uint8_t, 20> sha1(std::string_view data);

// SipHash-2-4: for tables of names that others choose, who without the key cannot make two collide.
using HashKey = std::array<uint8_t, 16>;
uint64_t keyed_hash(const HashKey& key, std::string_view data);

// Lower-case hexadecimal HMAC-SHA1, for registration with a shared secret and TURN credentials.
std::string hmac_sha1_hex(std::string_view key, std::string_view message);
std::string hmac_sha1_base64(std::string_view key, std::string_view message);  // padded

// Argon2id in its PHC text form. Takes tens of milliseconds and tens of megabytes: on a pool only.
Result<std::string> hash_password(std::string_view password);
// Argon2id as above, or bcrypt ($2a$/$2b$) as brought along from Synapse. Same cost.
bool verify_password(std::string_view password, const std::string& hash);

// prefix "_" 32 random letters and digits "_" checksum: tokens can be told apart and found by
// secret scanners, and mistyped ones are refused without a look-up.
std::string make_token(Random& random, std::string_view prefix);
bool is_token(std::string_view token, std::string_view prefix);
// What is stored instead of the token.
Digest token_digest(std::string_view token);

}  // namespace polder::crypto
