#include "homeserver/base/crypto/keys.h"

#include <sodium.h>

#include <algorithm>

namespace polder::crypto {
namespace {

// Verify keys whose secret everybody knows: a server that signed with one could be impersonated by
// anyone (CVE-2026-24044). Compared as keys, since one seed has several forms in base64.
constexpr std::string_view kPublishedKeys[] = {
    "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI",  // the specification's test vectors
    "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik",  // a seed of zeros
    "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo",  // RFC 8032, section 7.1, test 1
};

template <size_t N>
Result<std::array<uint8_t, N>> decode_exactly(std::string_view text, const char* what) {
  POLDER_TRY(Bytes raw, base::base64_decode(text));
  const bool right = raw.size() == N;
  std::array<uint8_t, N> out{};
  if (right) std::copy(raw.begin(), raw.end(), out.begin());
  sodium_memzero(raw.data(), raw.size());  // it may be a secret
  if (!right) return fail(ErrorCode::kMalformed, std::string(what).append(" has the wrong length"));
  return out;
}

bool is_key_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

Result<VerifyKey> VerifyKey::from_base64(std::string_view text) {
  VerifyKey key;
  POLDER_TRY(key.point_, (decode_exactly<32>(text, "a verify key")));
  // libsodium refuses points of small order and those off the main subgroup.
  if (crypto_core_ed25519_is_valid_point(key.point_.data()) != 1) {
    return fail(ErrorCode::kInvalid, "a verify key is no valid point");
  }
  return key;
}

std::string VerifyKey::to_base64() const {
  return base::base64_encode(point_);
}

bool VerifyKey::verify(std::string_view message, const Signature& signature) const {
  const ByteSpan bytes = as_bytes(message);
  return crypto_sign_verify_detached(signature.data(), bytes.data(), bytes.size(), point_.data()) ==
         0;
}

SigningKey::SigningKey(SigningKey&& other) noexcept
    : id_(std::move(other.id_)), verify_key_(other.verify_key_), secret_(other.secret_) {
  sodium_memzero(other.secret_.data(), other.secret_.size());
}

SigningKey& SigningKey::operator=(SigningKey&& other) noexcept {
  id_ = std::move(other.id_);
  verify_key_ = other.verify_key_;
  secret_ = other.secret_;
  if (this != &other) sodium_memzero(other.secret_.data(), other.secret_.size());
  return *this;
}

SigningKey::~SigningKey() {
  sodium_memzero(secret_.data(), secret_.size());
}

SigningKey SigningKey::generate(Random& random) {
  std::string seed = random.bytes(32);
  auto key = from_seed(KeyId::trusted("ed25519:a_" + random.letters(4)),
                       base::base64_encode(as_bytes(seed)));
  sodium_memzero(seed.data(), seed.size());
  return std::move(*key);
}

Result<SigningKey> SigningKey::from_seed(KeyId id, std::string_view seed_base64) {
  if (id.algorithm() != "ed25519" || !is_key_name(id.name()))
    return fail(ErrorCode::kInvalid, "a signing key has a bad name");
  POLDER_TRY(auto seed, (decode_exactly<32>(seed_base64, "a signing key")));
  SigningKey key;
  key.id_ = std::move(id);
  crypto_sign_seed_keypair(key.verify_key_.point_.data(), key.secret_.data(), seed.data());
  sodium_memzero(seed.data(), seed.size());
  return key;
}

Result<SigningKey> SigningKey::from_line(std::string_view line) {
  while (line.ends_with('\n') || line.ends_with('\r') || line.ends_with(' '))
    line.remove_suffix(1);
  const size_t first = line.find(' ');
  const size_t second = line.find(' ', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos)
    return fail(ErrorCode::kMalformed, "a signing key is not \"ed25519 NAME SEED\"");
  std::string id(line.substr(0, first));
  id.append(":").append(line.substr(first + 1, second - first - 1));
  POLDER_TRY(KeyId key_id, KeyId::parse(id));
  POLDER_TRY(SigningKey key, from_seed(std::move(key_id), line.substr(second + 1)));
  if (std::ranges::find(kPublishedKeys, key.verify_key_.to_base64()) != std::end(kPublishedKeys)) {
    return fail(ErrorCode::kInvalid, "this signing key is publicly known; generate another");
  }
  return key;
}

std::string SigningKey::to_line() const {
  std::string line = "ed25519 ";
  line.append(id_.name()).append(" ");
  line += base::base64_encode(ByteSpan(secret_).first(32));
  return line.append("\n");
}

Signature SigningKey::sign(std::string_view message) const {
  Signature signature{};
  const ByteSpan bytes = as_bytes(message);
  crypto_sign_detached(signature.data(), nullptr, bytes.data(), bytes.size(), secret_.data());
  return signature;
}

Result<Signature> signature_from_base64(std::string_view text) {
  return decode_exactly<64>(text, "a signature");
}

}  // namespace polder::crypto
