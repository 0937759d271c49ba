// Ed25519 keys (https://spec.matrix.org/v1.19/appendices/#signing-details). Pure; thread-safe.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "homeserver/base/values/bytes.h"
#include "homeserver/base/values/environment.h"
#include "homeserver/base/values/ids.h"

namespace polder::crypto {

using Signature = std::array<uint8_t, 64>;

class VerifyKey {
 public:
  // From 32 bytes of unpadded base64. kMalformed otherwise; kInvalid for points of small order.
  static Result<VerifyKey> from_base64(std::string_view text);
  std::string to_base64() const;
  bool verify(std::string_view message, const Signature& signature) const;
  friend bool operator==(const VerifyKey&, const VerifyKey&) = default;

 private:
  friend class SigningKey;
  std::array<uint8_t, 32> point_{};
};

// A secret key and its id ("ed25519:a_AbCd"). Its memory is wiped when it dies. Movable, not
// copyable.
class SigningKey {
 public:
  static SigningKey generate(Random& random);  // named by four random letters
  static Result<SigningKey> from_seed(KeyId id, std::string_view seed_base64);
  // One line as Synapse's signing.key has it: "ed25519 NAME SEED". kInvalid for keys known to be
  // public.
  static Result<SigningKey> from_line(std::string_view line);
  SigningKey(SigningKey&&) noexcept;
  SigningKey& operator=(SigningKey&&) noexcept;
  ~SigningKey();

  const KeyId& id() const { return id_; }
  const VerifyKey& verify_key() const { return verify_key_; }
  std::string to_line() const;  // secret
  Signature sign(std::string_view message) const;

 private:
  SigningKey() = default;
  KeyId id_;
  VerifyKey verify_key_;
  std::array<uint8_t, 64> secret_{};
};

// A signature from unpadded base64; kMalformed unless it is 64 bytes.
Result<Signature> signature_from_base64(std::string_view text);

}  // namespace polder::crypto
