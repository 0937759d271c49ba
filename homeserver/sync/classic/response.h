// One /sync response, as of one position. Synchronous, on the pool.
#pragma once

#include <functional>

#include "homeserver/sync/classic/sync.h"
#include "homeserver/sync/classic/tokens.h"

namespace polder::sync {

struct Answer {
  std::string text;  // all of it, or how it begins
  // Of a response that is large, the next piece; nothing at the end. Each is read from a snapshot
  // of its own, as of the same position.
  std::function<Result<std::optional<std::string>>()> more;
  bool empty = true;  // nothing but the next token
  StreamToken next;
  std::vector<stores::RoomNumber> joined;
};

// The services outlive the answer.
Result<Answer> build_response(const Services& services, std::shared_ptr<const SyncRequest> request,
                              const std::optional<StreamToken>& since);

}  // namespace polder::sync
