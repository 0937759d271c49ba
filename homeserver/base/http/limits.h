// What a peer may cost before it is refused, and how long it is waited for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "homeserver/base/values/environment.h"

namespace polder::http {

inline constexpr size_t kHeadBytesMax = 64 * 1024;    // request line and header fields
inline constexpr size_t kTargetBytesMax = 16 * 1024;  // within it
inline constexpr size_t kRequestLineRest = 64;        // method, version, spaces
inline constexpr size_t kHeaderFieldsMax = 100;
inline constexpr size_t kEmptyLinesMax = 8;                  // before a request
inline constexpr size_t kChunkExtensionBytesMax = 8 * 1024;  // of a whole body
inline constexpr size_t kTrailerBytesMax = 8 * 1024;
inline constexpr size_t kReadBytes = 16 * 1024;
inline constexpr size_t kWriteBytes = 64 * 1024;  // that are waited for together
inline constexpr size_t kHeadReadBytes =
    4 * 1024;  // held by every connection that waits for a head
inline constexpr size_t kSkippedBytesMax = 64 * 1024;  // of a body that nobody read, to go on
inline constexpr size_t kLingerBytesMax = 4 << 20;     // the same, before the connection ends
inline constexpr Millis kHandshakeTimeout{10'000};

// How long a server waits for its peers.
struct Timeouts {
  Millis handshake = kHandshakeTimeout;
  Millis head{20'000};  // for the whole head of a request
  Millis idle{90'000};  // for the next request
  // For bodies and responses, which take as long as they move at least so many bytes a second, with
  // pauses of together not more than that.
  Millis pause{30'000};
  size_t bytes_per_second = 1024;
  Millis linger{1'000};       // between pieces of what nobody will read
  Millis linger_all{10'000};  // for all of it
  Millis goodbye{2'000};      // for the end of TLS
};

// How many connections there may be.
struct ConnectionLimits {
  size_t all = 20'000;
  size_t listener = 15'000;
  size_t network = 5'000;  // IPv4: /24, IPv6: /56
  size_t address = 2'000;  // IPv6: /64
};
// The same of those whose TLS handshake has begun and not ended, each of which holds 70 KiB.
inline constexpr ConnectionLimits kHandshakes{
    .all = 1'000, .listener = 1'000, .network = 250, .address = 100};

// How many bytes may be held for others.
struct HeldLimits {
  uint64_t all = 0;
  uint64_t each = 0;  // one user, server or address; if it is one request's alone, more
};
inline constexpr uint64_t kHeldFreely = 16 * 1024;  // bytes that each request may hold

struct ServerLimits {
  Timeouts timeouts;
  ConnectionLimits connections;
  ConnectionLimits handshakes = kHandshakes;  // when all are taken, the oldest makes way
  HeldLimits bodies{uint64_t{128} << 20, uint64_t{32} << 20};   // of requests, read into memory
  HeldLimits answers{uint64_t{128} << 20, uint64_t{16} << 20};  // that wait to be sent
};

}  // namespace polder::http
