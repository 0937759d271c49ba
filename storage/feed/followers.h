// All who follow the log of one database: wakes those whom a commit concerns, ends them together,
// and tells how far each is behind.
#pragma once

#include <atomic>
#include <span>
#include <vector>

#include "homeserver/base/metrics/metrics.h"
#include "homeserver/base/runtime/runtime.h"
#include "storage/kv/committer.h"
#include "storage/kv/kv.h"

namespace polder::feed {

class Follower;

// Thread-safe, once all have been made. Outlives them.
class Followers {
 public:
  // The three outlive it. Before the first commit.
  Followers(runtime::Runtime& runtime, kv::Database& database, kv::Committer& committer);
  Followers(const Followers&) = delete;
  Followers& operator=(const Followers&) = delete;

  // Ends all of them, each within its page; after the limit it waits for none. True if all ended.
  Task<bool> stop(Millis limit);
  // polder_follower_...{follower="name"}
  void probe(metrics::Sink& sink) const;

  runtime::Runtime& runtime() { return runtime_; }
  kv::Database& database() { return database_; }
  kv::Committer& committer() { return committer_; }

 private:
  friend class Follower;
  void add(Follower& follower);  // before the first commit
  void committed(std::span<const kv::Batch* const> batches);

  runtime::Runtime& runtime_;
  kv::Database& database_;
  kv::Committer& committer_;
  std::vector<Follower*> followers_;  // constant after the first commit, as are the streams
  uint32_t followed_ = 0;             // streams that somebody follows, as bits
};

}  // namespace polder::feed
