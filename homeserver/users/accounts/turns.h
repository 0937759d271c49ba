// The order of what changes rows of a user (docs/architecture.md, decision 3).
#pragma once

#include <functional>

#include "homeserver/base/runtime/sync.h"
#include "homeserver/users/accounts/parts.h"
#include "homeserver/users/accounts/session.h"

namespace polder::users {

// One queue for each user, by number: whatever changes rows of a user does it in that user's turn.
// Thread-safe.
class UserTurns {
 public:
  using Change = std::function<Status(const kv::Snapshot&, kv::Batch&)>;

  explicit UserTurns(Parts parts) : parts_(std::move(parts)), queues_(parts_.runtime) {}

  // Reads and writes in the user's turn; on disk when it returns. Of who registers, by a hash of
  // the name.
  Task<Status> change(stores::UserNumber user, Change change);
  // The same for a session: kUnauthenticated once its device has ended. Devices end in the same
  // turn, so that what a device writes beside its end does not outlive it.
  Task<Status> change_of(const Session& session, Change change);
  // For what is written in another way.
  runtime::KeyedQueues& queues() { return queues_; }

 private:
  Task<Status> change_in_turn(Change change);

  const Parts parts_;
  runtime::KeyedQueues queues_;
};

}  // namespace polder::users
