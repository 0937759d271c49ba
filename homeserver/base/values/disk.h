// Threads that must not wait for the disk, and who is told when one does: nothing on a shard's
// thread reads, writes or syncs, and nobody does so with a lock held for which a shard's thread may
// wait (docs/architecture.md, decision 21).
#pragma once

#include <string_view>

namespace polder::base {

enum class ThreadRole : unsigned char {
  kAnswers,  // a shard's: never uses the disk
  kWorks,    // a lane's: uses it, but not with a lock held
};

class DiskWatch {
 public:
  virtual ~DiskWatch() = default;
  // The disk was about to be used where it must not be. From any thread.
  virtual void disk_misused(ThreadRole role, std::string_view what) = 0;
};

// While it lives, what this thread does is told to the watch, which outlives it.
class WatchedThread {
 public:
  WatchedThread(DiskWatch& watch, ThreadRole role);
  ~WatchedThread();
  WatchedThread(const WatchedThread&) = delete;
  WatchedThread& operator=(const WatchedThread&) = delete;

 private:
  DiskWatch* const watch_before_;
  const ThreadRole role_before_;
};

// While it lives, this thread may use the disk: for what happens before the first answer, or after
// the last. Says so where it stands.
class DiskAllowed {
 public:
  DiskAllowed();
  ~DiskAllowed();
  DiskAllowed(const DiskAllowed&) = delete;
  DiskAllowed& operator=(const DiskAllowed&) = delete;

 private:
  DiskWatch* const before_;
};

// Called by whatever is about to read, write or sync. Quick.
void note_disk_use(std::string_view what);

}  // namespace polder::base
