// Binary data and its textual forms.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "homeserver/base/values/result.h"

namespace polder::base {

using Bytes =
    std::string;  // binary data is held in std::string, which every store and socket takes
using ByteSpan = std::span<const uint8_t>;
using Digest = std::array<uint8_t, 32>;  // SHA-256

inline ByteSpan as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

enum class Base64 : uint8_t {
  kStandard,  // + and /
  kUrlSafe,   // - and _
};

// Unpadded base64 (https://spec.matrix.org/v1.19/appendices/#unpadded-base64), which is what the
// protocol writes everywhere.
std::string base64_encode(ByteSpan bytes, Base64 alphabet = Base64::kStandard);
// Reads unpadded base64, and tolerates correct padding, as the specification asks of receivers.
// Non-canonical trailing bits are accepted; characters outside the alphabet are kMalformed.
Result<Bytes> base64_decode(std::string_view text, Base64 alphabet = Base64::kStandard);

std::string hex_encode(ByteSpan bytes);             // lower case
Result<Bytes> hex_decode(std::string_view text);    // either case
std::string percent_encode(std::string_view text);  // all but RFC 3986 unreserved characters
Result<std::string> percent_decode(std::string_view text);  // '+' stays '+'

// True if the text is valid UTF-8 (no surrogates, no overlong forms).
bool is_utf8(std::string_view text);

// Compares in a time that depends on the lengths only: for secrets.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace polder::base

namespace polder {
using base::as_bytes;
using base::as_text;
using base::Bytes;
using base::ByteSpan;
using base::Digest;
}  // namespace polder
