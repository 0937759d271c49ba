// Who asks.
#pragma once

#include <cstdint>

#include "homeserver/base/values/bytes.h"
#include "homeserver/base/values/ids.h"
#include "storage/stores/base/names.h"

namespace polder::users {

// Who asks, as a token says.
struct Session {
  UserId user;
  stores::UserNumber number = 0;
  DeviceId device;
  Digest token{};
  bool admin = false;
  bool guest = false;
  int64_t expires_ms = 0;  // 0: never

  bool expired(int64_t now_ms) const { return expires_ms != 0 && expires_ms <= now_ms; }
};

}  // namespace polder::users
