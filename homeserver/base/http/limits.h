// What a connection may ask for before it is refused.
#pragma once

#include <cstddef>

#include "homeserver/base/values/environment.h"

namespace polder::http {

inline constexpr size_t kHeadBytesMax = 64 * 1024;    // request line and header fields
inline constexpr size_t kTargetBytesMax = 16 * 1024;  // within it
inline constexpr size_t kHeaderFieldsMax = 100;
inline constexpr size_t kReadBytes = 16 * 1024;
inline constexpr size_t kHeadReadBytes =
    4 * 1024;  // held by every connection that waits for a head
inline constexpr size_t kSkippedBytesMax = 64 * 1024;  // of a body that nobody read, to go on
inline constexpr size_t kLingerBytesMax = 4 << 20;     // the same, before the connection ends
inline constexpr size_t kConnectionsMax = 20'000;
inline constexpr Millis kHeadTimeout{20'000};       // to send the head of a request
inline constexpr Millis kIdleTimeout{90'000};       // between requests
inline constexpr Millis kBodyPieceTimeout{30'000};  // between pieces of a body
inline constexpr Millis kWriteTimeout{60'000};      // for each write
inline constexpr Millis kLingerTimeout{1'000};      // between pieces of what nobody will read
inline constexpr Millis kHandshakeTimeout{10'000};

}  // namespace polder::http
