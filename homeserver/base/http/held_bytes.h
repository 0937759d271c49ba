// Bytes in memory that wait for somebody else: for the rest of their body, or for their reader.
// They count for who causes them, and for all together; where all is taken, the slowest go first.
// Private to this module; thread-safe.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "homeserver/base/http/limits.h"
#include "homeserver/base/values/environment.h"
#include "homeserver/base/values/mutex.h"

namespace polder::http {

class HeldBytes {
 public:
  // What one request holds, until it dies; the whole outlives it.
  class Share {
   public:
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    // Counts so many more; false, and none, if that is too much.
    bool hold(uint64_t bytes);
    void release(uint64_t bytes);
    // The peer has moved: now it is not among the slowest.
    void progress();
    // Nobody is waited for any more: it will not be ended.
    void settle();

   private:
    friend class HeldBytes;
    Share(HeldBytes& whole, std::string who, std::function<void()> end)
        : whole_(whole), who_(std::move(who)), end_(std::move(end)) {}
    HeldBytes& whole_;
    const std::string who_;
    const std::function<void()> end_;
    // Under the whole's mutex:
    uint64_t bytes_ = 0;
    bool ended_ = false;
    std::chrono::nanoseconds since_{0};
    std::list<Share*>::iterator place_;
    bool waits_ = false;  // place_ is one
  };

  // Clock and log outlive it. `event` is what the log calls it when somebody is ended or refused.
  HeldBytes(const Clock& clock, Log& log, std::string event, HeldLimits limits);

  // `end` ends the connection of who holds it: called from any thread, at most once, under a lock.
  std::unique_ptr<Share> share(std::string who, std::function<void()> end);
  uint64_t held() const;

 private:
  bool fits(const Share& share, uint64_t bytes) REQUIRES(mutex_);
  void end_slow(uint64_t bytes) REQUIRES(mutex_);
  void forget(Share& share, uint64_t bytes) REQUIRES(mutex_);
  void wait(Share& share, bool waits) REQUIRES(mutex_);
  void tell() REQUIRES(mutex_);

  const Clock& clock_;
  Log& log_;
  const std::string event_;
  const HeldLimits limits_;
  mutable base::Mutex mutex_;
  uint64_t all_ GUARDED_BY(mutex_) = 0;
  std::unordered_map<std::string, uint64_t> each_ GUARDED_BY(mutex_);
  std::list<Share*> waiting_
      GUARDED_BY(mutex_);  // that hold more than anybody may; the slowest first
  uint64_t untold_ GUARDED_BY(mutex_) = 0;
  std::optional<std::chrono::nanoseconds> told_ GUARDED_BY(mutex_);
};

}  // namespace polder::http
