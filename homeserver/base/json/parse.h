// Reading JSON. All input is hostile: limits are enforced while reading, and nothing is half
// accepted.
#pragma once

#include <limits>
#include <string_view>

#include "homeserver/base/json/value.h"

namespace polder::json {

enum class Numbers : uint8_t {
  // Only integers within +-(2^53-1), written without fraction or exponent; -0 is refused:
  // events of room version 6 and later.
  kCanonical,
  // Every JSON number; what is no 64-bit integer is kept as it was written (Number):
  // requests of clients, and events of room versions 1 to 5.
  kAny,
};

// Four times what the largest event has.
inline constexpr size_t kNestedBytesMax = size_t{256} << 10;

struct ParseLimits {
  Numbers numbers = Numbers::kAny;
  size_t max_bytes = 1 << 20;
  // Of nested arrays and objects. No depth costs a stack: below kTreeDepth they are kept as text,
  // of at most kNestedBytesMax.
  int max_depth = std::numeric_limits<int>::max();
};

// Refuses, besides what is not RFC 8259 JSON: duplicate keys, lone surrogate escapes, invalid
// UTF-8, a byte order mark, more than the limits. kMalformed if not JSON, kTooLarge over a limit,
// kInvalid for numbers that the mode forbids. Thread-safe.
Result<Value> parse(std::string_view text, const ParseLimits& limits = {});
// The same where the top must be an object; kBadType otherwise.
Result<Object> parse_object(std::string_view text, const ParseLimits& limits = {});

}  // namespace polder::json
