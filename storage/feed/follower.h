// One durable cursor over the log (docs/architecture.md, decision 20): hands every page of it to
// its consumer in order, at least once, and notes how far it has got once the consumer is done.
//
// The cursor moves in memory with every page. On disk it may be behind, never ahead: a crash
// repeats what was handled since it was written, which is at most one page where it is durable, and
// some seconds where it is lazy.
#pragma once

#include <chrono>
#include <string>

#include "homeserver/base/metrics/metrics.h"
#include "homeserver/base/runtime/runtime.h"
#include "homeserver/base/runtime/sync.h"
#include "homeserver/base/values/mutex.h"
#include "storage/feed/consumer.h"
#include "storage/feed/followers.h"
#include "storage/feed/page.h"

namespace polder::feed {

// Where one begins that has no cursor yet.
enum class Start : uint8_t {
  kBeginning,   // with the first position that the streams have
  kNow,         // behind what is visible when it first starts
  kCheckpoint,  // behind what Consumer::take_checkpoint() took in
};

struct Options {
  std::string name;  // of its cursor's row, its job and its metrics
  Streams streams;
  size_t entries_max = 200;  // of each stream in a page
  Start start = Start::kBeginning;
  // kDurable: the cursor is on disk before the next page is read. kLazy: it is written at times.
  kv::Durability durability = kv::Durability::kLazy;
  Millis save_every{1000};  // where it is lazy
  size_t shard = 0;
};

struct Lag {
  kv::Position positions = 0;        // visible ones that come behind the cursor; 0 if level
  std::chrono::nanoseconds time{0};  // the oldest of them came no longer ago; 0 if level
};

struct FollowerStats {
  metrics::Counter pages, entries, failures, wakes;
};

// Made before the first commit; outlives its tasks. What is not said to be thread-safe belongs to
// its shard.
class Follower {
 public:
  // The consumer outlives the tasks too.
  Follower(Followers& followers, Options options, Consumer& consumer);
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  // Reads where it left off. Synchronous; before start(), which begins, on its shard or before the
  // runtime runs.
  Status load();
  void start();
  // Ends it within its page; thread-safe. False if it takes longer than the limit.
  Task<bool> stop(Millis limit);

  // Thread-safe, as is what follows.
  const Options& options() const { return options_; }
  // Everything up to here is handled; what comes behind may be nothing that it follows.
  kv::Position cursor() const EXCLUDES(mutex_);
  // There is nothing that it has not handled.
  bool level() const EXCLUDES(mutex_);
  Lag lag() const EXCLUDES(mutex_);
  const FollowerStats& stats() const { return stats_; }
  // Waits until all up to the position is handled; false if that takes longer than the limit.
  Task<bool> reached(kv::Position position, Millis limit);

  // What the consumer saves with the cursor has changed. On the follower's shard.
  void changed();

 private:
  friend class Followers;
  // What is to be done about a page, and then where the cursor is.
  struct Next {
    kv::Position to = 0;
    size_t entries = 0;
    Consumer::Work work;  // none if there are no entries
  };

  void committed(kv::Position visible) EXCLUDES(mutex_);  // on the committer's thread
  void end_soon();                                        // thread-safe
  Task<void> run();
  Task<Status> begin();
  Task<Status> advance();
  Result<Next> read(kv::Position from, kv::Position to);
  kv::Position take_target() EXCLUDES(mutex_);
  void handled(kv::Position to) EXCLUDES(mutex_);
  bool sleep() EXCLUDES(mutex_);
  Task<void> wait_for_more();
  Task<void> back_off(Error error);
  bool save_is_due() const;
  kv::Batch rows_at(kv::Position position, bool all);
  Task<Status> save();
  Task<Status> save_durably(kv::Batch batch);
  Task<bool> stop_here(Millis limit);
  Task<bool> reached_here(kv::Position position, Millis limit);

  Followers& followers_;
  runtime::Runtime& runtime_;
  const Options options_;
  const std::string job_;
  Consumer& consumer_;
  FollowerStats stats_;

  bool begins_ = false;  // it has no cursor on disk, nor a position to begin at
  bool running_ = false;
  bool unsaved_ = false;
  bool save_all_ = false;
  kv::Batch unerased_;  // what batches that were lost were to erase
  std::chrono::nanoseconds saved_at_{0};
  int failures_ = 0;  // in a row
  std::atomic<bool> stopping_ = false;
  runtime::Signal wake_;
  runtime::Signal advanced_;

  mutable base::Mutex mutex_;
  kv::Position cursor_ GUARDED_BY(mutex_) = 0;
  kv::Position wanted_ GUARDED_BY(mutex_) = 0;  // the last position known to concern it
  // What was visible when it last looked, and when that was: what is behind the target came later.
  kv::Position target_ GUARDED_BY(mutex_) = 0;
  std::chrono::nanoseconds target_at_ GUARDED_BY(mutex_){0};
  // While it is not level: what it has not handled came later.
  std::chrono::nanoseconds behind_since_ GUARDED_BY(mutex_){0};
  bool sleeping_ GUARDED_BY(mutex_) = false;  // it is to be woken
};

}  // namespace polder::feed
