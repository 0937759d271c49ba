// Sessions that were looked up, so that a request does not read the disk to know who asks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "homeserver/base/metrics/cache.h"
#include "homeserver/base/values/mutex.h"
#include "homeserver/users/accounts/session.h"

namespace polder::users {

// Thread-safe. A session that has ended must be forgotten after its end is on disk; then it never
// comes back, whoever read it before and is only about to remember it.
class SessionCache {
 public:
  struct Sought {
    std::optional<Session> session;
    uint64_t ends = 0;  // for remember()
  };
  // Expired sessions are not found.
  Sought find(const Digest& token, int64_t now_ms);
  // Of a session that was read after find(). Nothing if any session was forgotten since, because it
  // may be this one.
  void remember(const Session& session, uint64_t ends);
  void forget(stores::UserNumber user);
  metrics::CacheFigures figures() const;

 private:
  mutable base::Mutex mutex_;
  metrics::CacheFigures figures_ GUARDED_BY(mutex_);
  uint64_t ends_ GUARDED_BY(mutex_) = 0;                                  // calls of forget()
  std::unordered_map<std::string, Session> sessions_ GUARDED_BY(mutex_);  // by token digest
};

}  // namespace polder::users
