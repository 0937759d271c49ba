// /sync: what changed for a user since a token, and waiting until something does.
// https://spec.matrix.org/v1.19/client-server-api/#syncing
//
// A request reads a snapshot up to one `visible` position, compares the user's rooms with the table
// of heads, and reads only the rooms that changed.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "homeserver/base/metrics/metrics.h"
#include "homeserver/base/values/bytes.h"
#include "homeserver/rooms/model/source.h"
#include "homeserver/sync/classic/filter.h"
#include "homeserver/sync/classic/last_answers.h"
#include "homeserver/sync/classic/sent_members.h"
#include "homeserver/sync/classic/waiters.h"
#include "homeserver/sync/push/counts.h"
#include "homeserver/users/data/receipts.h"
#include "storage/kv/committer.h"

namespace polder::sync {

struct Answer;

struct SyncRequest {
  UserId user;
  stores::UserNumber number = 0;
  DeviceId device;
  Digest session{};   // by whose token it came; zeros: a session that does not end
  std::string since;  // empty: an initial sync
  std::shared_ptr<const Filter> filter;
  bool full_state = false;
  bool use_state_after = false;       // MSC4222
  bool unstable_state_after = false;  // answer under the unstable name
  Millis timeout{0};
  // Whether the client has gone: then nothing is waited for. Empty: nobody can say.
  std::function<bool()> client_ended{};
};

// What responses are read from; all outlive Sync.
struct Services {
  const rooms::RoomSource& rooms;
  kv::Committer& committer;
  users::Typing& typing;
  users::Receipts& receipts;
  const push::Rules& push_rules;
  const push::Counts& counts;
};

// Of one kind of request.
struct SyncStats {
  metrics::Counter requests, looks, bytes;  // a request that waits may look several times
  metrics::Histogram time;                  // to look for changes once
};

// JSON: all of it, or how it begins.
struct SyncResponse {
  std::string text;
  // Of a large one, makes the next piece; gives nothing at the end. One call at a time.
  std::function<Task<Result<std::optional<std::string>>>()> more;
};

// Thread-safe.
class Sync {
 public:
  // Before the first commit.
  explicit Sync(Services services);

  // What changed, once something has or the time has passed. kInvalid for what is no token,
  // kUnauthenticated once the session has ended.
  Task<Result<SyncResponse>> run(SyncRequest request);

  OwnAnswers& own_answers() { return waiters_.own_answers(); }
  KnownFilters& filters() { return filters_; }
  const KnownFilters& filters() const { return filters_; }
  const SyncStats& initial() const { return *initial_; }
  const SyncStats& incremental() const { return *incremental_; }
  // Requests that wait; of clients that were answered, none does. Others come and go meanwhile.
  size_t waiting() const {
    const size_t kept = last_answers_.kept();
    return std::max(waiters_.waiting(), kept) - kept;
  }

 private:
  class Poll;
  void typing_changed(stores::RoomNumber room, Millis lasts);

  const Services services_;
  KnownFilters filters_;
  SentMembers sent_members_;
  Waiters waiters_;
  // Shared with answers that are still being sent.
  const std::shared_ptr<SyncStats> initial_ = std::make_shared<SyncStats>();
  const std::shared_ptr<SyncStats> incremental_ = std::make_shared<SyncStats>();
  LastAnswers last_answers_;
};

}  // namespace polder::sync
