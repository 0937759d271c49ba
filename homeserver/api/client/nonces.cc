#include "homeserver/api/client/nonces.h"

#include <charconv>

#include "homeserver/base/crypto/hash.h"
#include "homeserver/base/values/bytes.h"

namespace polder::client_api {
namespace {

// All in hexadecimal digits: until when it is good, randomness, and the seal over both.
constexpr size_t kTimeDigits = 16;
constexpr size_t kRandomBytes = 12;
constexpr size_t kSealed = kTimeDigits + 2 * kRandomBytes;
constexpr size_t kSealDigits = 24;

int64_t good_until(std::string_view nonce) {
  int64_t time = 0;
  std::from_chars(nonce.data(), nonce.data() + kTimeDigits, time, 16);
  return time;
}

}  // namespace

std::string Nonces::seal(std::string_view text) const {
  return crypto::hmac_sha1_hex(key_, text).substr(0, kSealDigits);
}

std::string Nonces::make(Random& random, int64_t now_ms) const {
  char digits[kTimeDigits];
  const auto end = std::to_chars(digits, digits + sizeof digits, now_ms + kLifetimeMs, 16).ptr;
  const std::string time(digits, end);
  std::string nonce = std::string(kTimeDigits - time.size(), '0') + time +
                      base::hex_encode(as_bytes(random.bytes(kRandomBytes)));
  nonce += seal(nonce);
  return nonce;
}

bool Nonces::good(std::string_view nonce, int64_t now_ms) const {
  return nonce.size() == kSealed + kSealDigits &&
         base::equal_in_constant_time(seal(nonce.substr(0, kSealed)), nonce.substr(kSealed)) &&
         now_ms < good_until(nonce);
}

bool Nonces::use(std::string_view nonce, int64_t now_ms) {
  const base::Lock lock(mutex_);
  std::erase_if(used_, [now_ms](const auto& used) { return used.second <= now_ms; });
  return used_.emplace(nonce, good_until(nonce)).second;
}

}  // namespace polder::client_api
