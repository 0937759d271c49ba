#include "homeserver/base/crypto/hash.h"

#include <crypt.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

namespace polder::crypto {
namespace {

// RFC 9106 would have more; these are OWASP's figures for servers that many people log in to at
// once.
constexpr unsigned long long kPasswordPasses = 2;
constexpr size_t kPasswordMemoryBytes = size_t{19} * 1024 * 1024;

constexpr std::string_view kAlphabet =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr size_t kTokenRandomChars = 32;  // 190 bits
constexpr size_t kTokenChecksumChars = 6;

std::array<uint8_t, 20> hmac_sha1(std::string_view key, std::string_view message) {
  std::array<uint8_t, 20> out{};
  unsigned size = 0;
  HMAC(EVP_sha1(), key.data(), static_cast<int>(key.size()), as_bytes(message).data(),
       message.size(), out.data(), &size);
  return out;
}

// bcrypt's work doubles with each step of the cost; Synapse's is 12. "$2b$12$" and 53 characters.
constexpr std::string_view kMaxBcryptCost = "15";
constexpr size_t kBcryptChars = 60;

bool is_bcrypt(std::string_view hash) {
  return hash.size() == kBcryptChars && (hash.starts_with("$2a$") || hash.starts_with("$2b$")) &&
         hash[6] == '$' && hash.substr(4, 2) <= kMaxBcryptCost;
}

std::string checksum(std::string_view text) {
  uLong value = crc32(0, as_bytes(text).data(), static_cast<uInt>(text.size()));
  std::string out(kTokenChecksumChars, '0');
  for (size_t i = kTokenChecksumChars; i > 0; --i, value /= kAlphabet.size())
    out[i - 1] = kAlphabet[value % kAlphabet.size()];
  return out;
}

}  // namespace

Digest sha256(std::string_view data) {
  Digest digest{};
  crypto_hash_sha256(digest.data(), as_bytes(data).data(), data.size());
  return digest;
}

uint64_t keyed_hash(const HashKey& key, std::string_view data) {
  static_assert(sizeof(HashKey) == crypto_shorthash_KEYBYTES);
  std::array<uint8_t, crypto_shorthash_BYTES> out{};
  crypto_shorthash(out.data(), as_bytes(data).data(), data.size(), key.data());
  uint64_t number = 0;
  for (size_t i = out.size(); i > 0; --i)
    number = number << 8 | out[i - 1];
  return number;
}

// OpenSSL uses the processor's own instructions, which matters for what is large.
struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(),
                                                                  EVP_MD_CTX_free};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) != 1) std::abort();
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&& other) noexcept = default;

void Sha256::add(std::string_view data) {
  if (EVP_DigestUpdate(state_->context.get(), data.data(), data.size()) != 1) std::abort();
}

Digest Sha256::finish() {
  Digest digest{};
  if (EVP_DigestFinal_ex(state_->context.get(), digest.data(), nullptr) != 1) std::abort();
  return digest;
}

std::array<uint8_t, 20> sha1(std::string_view data) {
  std::array<uint8_t, 20> digest{};
  if (EVP_Digest(data.data(), data.size(), digest.data(), nullptr, EVP_sha1(), nullptr) != 1)
    std::abort();  // OpenSSL always has it
  return digest;
}

std::string hmac_sha1_hex(std::string_view key, std::string_view message) {
  return base::hex_encode(hmac_sha1(key, message));
}

std::string hmac_sha1_base64(std::string_view key, std::string_view message) {
  std::string out = base::base64_encode(hmac_sha1(key, message));
  while (out.size() % 4 != 0)
    out.push_back('=');
  return out;
}

Result<std::string> hash_password(std::string_view password) {
  std::array<char, crypto_pwhash_STRBYTES> out{};
  if (crypto_pwhash_str_alg(out.data(), password.data(), password.size(), kPasswordPasses,
                            kPasswordMemoryBytes, crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return fail(ErrorCode::kUnavailable, "not enough memory to hash a password");
  }
  return std::string(out.data());
}

bool verify_password(std::string_view password, const std::string& hash) {
  if (hash.starts_with("$argon2")) {
    return crypto_pwhash_str_verify(hash.c_str(), password.data(), password.size()) == 0;
  }
  // bcrypt ends at a NUL: such a password would match its own beginning.
  if (!is_bcrypt(hash) || password.find('\0') != std::string_view::npos) return false;
  const auto data = std::make_unique<crypt_data>();
  const char* computed = crypt_r(std::string(password).c_str(), hash.c_str(), data.get());
  return computed != nullptr && base::equal_in_constant_time(computed, hash);
}

std::string make_token(Random& random, std::string_view prefix) {
  std::string token(prefix);
  token.push_back('_');
  for (size_t i = 0; i < kTokenRandomChars; ++i)
    token.push_back(kAlphabet[random.below(kAlphabet.size())]);
  const std::string sum = checksum(token);
  return token.append("_").append(sum);
}

bool is_token(std::string_view token, std::string_view prefix) {
  if (token.size() != prefix.size() + 1 + kTokenRandomChars + 1 + kTokenChecksumChars) return false;
  if (!token.starts_with(prefix) || token[prefix.size()] != '_') return false;
  const std::string_view body = token.substr(0, token.size() - kTokenChecksumChars - 1);
  return token.substr(body.size() + 1) == checksum(body) && token[body.size()] == '_';
}

Digest token_digest(std::string_view token) {
  return sha256(token);
}

}  // namespace polder::crypto
