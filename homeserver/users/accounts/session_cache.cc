#include "homeserver/users/accounts/session_cache.h"

namespace polder::users {
namespace {

constexpr size_t kSessionsMax = 100'000;

std::string key_of(const Digest& token) {
  return std::string(as_text(token));
}

}  // namespace

SessionCache::Sought SessionCache::find(const Digest& token, int64_t now_ms) {
  const base::Lock lock(mutex_);
  Sought sought;
  sought.ends = ends_;
  const auto known = sessions_.find(key_of(token));
  if (known != sessions_.end() && !known->second.expired(now_ms)) sought.session = known->second;
  figures_.count(sought.session.has_value());
  return sought;
}

void SessionCache::remember(const Session& session, uint64_t ends) {
  const base::Lock lock(mutex_);
  if (ends != ends_) return;
  if (sessions_.size() >= kSessionsMax) {
    figures_.evictions += sessions_.size();
    sessions_.clear();
  }
  sessions_.insert_or_assign(key_of(session.token), session);
}

void SessionCache::forget(stores::UserNumber user) {
  const base::Lock lock(mutex_);
  ++ends_;
  std::erase_if(sessions_, [&](const auto& item) { return item.second.number == user; });
}

metrics::CacheFigures SessionCache::figures() const {
  const base::Lock lock(mutex_);
  metrics::CacheFigures figures = figures_;
  figures.entries = sessions_.size();
  return figures;
}

}  // namespace polder::users
