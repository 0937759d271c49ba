// One /sync response from one snapshot. Synchronous, on the pool.
#pragma once

#include "homeserver/sync/sync.h"

namespace polder::sync {

struct Answer {
  std::string text;
  bool empty = true;  // nothing but the next token
  kv::Position visible = 0;
  std::vector<stores::RoomNumber> joined;
};

Result<Answer> build_response(const rooms::RoomEngine& engine, const SyncRequest& request,
                              std::optional<kv::Position> since);

}  // namespace polder::sync
