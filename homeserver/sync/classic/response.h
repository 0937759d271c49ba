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
  bool empty = true;  // nothing of which a client that waits is told
  StreamToken next;
  std::vector<stores::RoomNumber> joined;  // ascending
  kv::Batch acknowledged;                  // rows that the client needs no longer
};

struct Look {
  std::optional<StreamToken> since = {};  // none: everything is new to the client
  bool first = true;                      // that the request has
  std::shared_ptr<SentMembers::OfDevice> sent = {};
};
// What changed for the client. kUnauthenticated if its session has ended. The services outlive the
// answer.
Result<Answer> build_response(const Services& services, std::shared_ptr<const SyncRequest> request,
                              Look look);

}  // namespace polder::sync
