// One /sync response from one snapshot. Synchronous, on the pool.
#pragma once

#include "homeserver/sync/sync.h"
#include "homeserver/sync/tokens.h"

namespace polder::sync {

struct Answer {
  std::string text;
  bool empty = true;  // nothing but the next token
  StreamToken next;
  std::vector<stores::RoomNumber> joined;
};

Result<Answer> build_response(const Services& services, const SyncRequest& request,
                              const std::optional<StreamToken>& since);

}  // namespace polder::sync
