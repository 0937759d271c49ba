// The push rules of every local user: what they changed is on disk, the rest follows from the
// specification.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "homeserver/base/metrics/cache.h"
#include "homeserver/base/values/mutex.h"
#include "homeserver/protocol/push_rules/rule_set.h"
#include "homeserver/users/accounts/parts.h"
#include "homeserver/users/accounts/turns.h"

namespace polder::push {

inline constexpr size_t kChangesBytesMax = 65536;  // of all that a user changed
// How many of a user's former rules are known: what came before is judged by the oldest of them.
inline constexpr size_t kFormerRulesMax = 16;

// Equal rules have equal numbers, as long as they are remembered.
struct RulesOf {
  std::shared_ptr<const push_rules::RuleSet> rules;
  uint64_t number = 0;  // 0: the default rules
};

// Rules that were in force up to a position.
struct FormerRules {
  kv::Position until = 0;
  RulesOf rules;
};

// Thread-safe.
class Rules {
 public:
  Rules(users::Parts parts, users::UserTurns& turns);

  // Synchronous; on the pool.
  Result<RulesOf> read(const kv::Snapshot& snapshot, stores::UserNumber user) const;
  // "Rules are applied to an event as it comes": those of before, oldest first. Synchronous; on the
  // pool.
  Result<std::vector<FormerRules>> read_former(const kv::Snapshot& snapshot,
                                               stores::UserNumber user) const;
  // The content of the account data m.push_rules, JSON
  // (https://spec.matrix.org/v1.19/client-server-api/#mpush_rules). Synchronous; on the pool.
  Result<std::string> account_data(const kv::Snapshot& snapshot, stores::UserNumber user,
                                   const UserId& id) const;

  metrics::CacheFigures figures() const;
  Task<Result<RulesOf>> get(stores::UserNumber user) const;
  // Changes of one user happen one after the other; on disk when it returns. The change's error, or
  // kTooLarge; then nothing has changed.
  using Change = std::function<Status(push_rules::RuleSet&)>;
  Task<Status> change(stores::UserNumber user, Change change);

 private:
  Status rewrite(stores::UserNumber user, const Change& change, const kv::Snapshot& snapshot,
                 kv::Batch& batch) const;
  // What is on disk, read; empty: the default ones.
  Result<RulesOf> parsed(const std::string& changes) const;

  const users::Parts parts_;
  const std::shared_ptr<const push_rules::RuleSet> defaults_;
  users::UserTurns& turns_;
  mutable base::Mutex mutex_;
  mutable metrics::CacheFigures figures_ GUARDED_BY(mutex_);
  mutable std::unordered_map<std::string, RulesOf> parsed_
      GUARDED_BY(mutex_);                               // by what is on disk
  mutable size_t parsed_bytes_ GUARDED_BY(mutex_) = 0;  // of that
  mutable uint64_t last_number_ GUARDED_BY(mutex_) = 0;
};

}  // namespace polder::push
