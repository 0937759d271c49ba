// The Authorization header of requests between servers, and what it signs.
// https://spec.matrix.org/v1.19/server-server-api/#request-authentication
// Pure; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "homeserver/base/crypto/keys.h"
#include "homeserver/base/values/ids.h"

namespace polder::wire {

inline constexpr size_t kAuthorizationMax = 4096;  // bytes of the header's value

struct Authorization {
  ServerName origin;
  std::optional<ServerName> destination;  // older servers leave it out
  KeyId key;
  crypto::Signature signature{};
};

// kUnsupported if the scheme is not X-Matrix, kMalformed, kTooLarge, kInvalid, kMissing.
Result<Authorization> parse_authorization(std::string_view header);
std::string write_authorization(const Authorization& authorization);

// What a request's signature signs.
struct SignedRequest {
  std::string_view method;  // "GET"
  std::string_view uri;     // path and query, as sent
  ServerName origin;
  ServerName destination;
  std::string_view content;  // canonical JSON of the body; empty if there is none
};

// The header's value for a request of one's own.
std::string authorize(const SignedRequest& request, const crypto::SigningKey& key);
// True if the header signs the request with this key. Origin and key id are the caller's to check.
bool verify(const SignedRequest& request, const Authorization& authorization,
            const crypto::VerifyKey& key);

}  // namespace polder::wire
