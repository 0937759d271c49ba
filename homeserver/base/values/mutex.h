// Mutexes that the compiler checks: what is GUARDED_BY one is touched only with it held
// (-Wthread-safety). https://clang.llvm.org/docs/ThreadSafetyAnalysis.html
#pragma once

#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#define POLDER_CAPABILITY __attribute__((capability("mutex")))
#define POLDER_SCOPED_CAPABILITY __attribute__((scoped_lockable))
#define GUARDED_BY(mutex) __attribute__((guarded_by(mutex)))
#define REQUIRES(mutex) __attribute__((requires_capability(mutex)))
#define REQUIRES_SHARED(mutex) __attribute__((requires_shared_capability(mutex)))
#define EXCLUDES(mutex) __attribute__((locks_excluded(mutex)))
#define POLDER_ACQUIRE(...) __attribute__((acquire_capability(__VA_ARGS__)))
#define POLDER_RELEASE(...) __attribute__((release_capability(__VA_ARGS__)))
#define POLDER_ACQUIRE_SHARED(...) __attribute__((acquire_shared_capability(__VA_ARGS__)))

namespace polder::base {

namespace internal {
// Of this thread; for disk.h.
inline thread_local unsigned locks_held = 0;
}  // namespace internal

class POLDER_CAPABILITY Mutex {
 public:
  void lock() POLDER_ACQUIRE() { mutex_.lock(); }
  void unlock() POLDER_RELEASE() { mutex_.unlock(); }

 private:
  friend class Lock;
  std::mutex mutex_;
};

// Holds a mutex for its scope, but where it was given up in between.
class POLDER_SCOPED_CAPABILITY Lock {
 public:
  explicit Lock(Mutex& mutex) POLDER_ACQUIRE(mutex) : lock_(mutex.mutex_) {
    ++internal::locks_held;
  }
  ~Lock() POLDER_RELEASE() {
    if (lock_.owns_lock()) --internal::locks_held;
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  void unlock() POLDER_RELEASE() {
    lock_.unlock();
    --internal::locks_held;
  }
  void lock() POLDER_ACQUIRE() {
    lock_.lock();
    ++internal::locks_held;
  }

 private:
  friend class Condition;
  std::unique_lock<std::mutex> lock_;
};

// One that several may hold at once to read what it protects.
class POLDER_CAPABILITY SharedMutex {
 private:
  friend class SharedLock;
  friend class ExclusiveLock;
  std::shared_mutex mutex_;
};

class POLDER_SCOPED_CAPABILITY SharedLock {
 public:
  explicit SharedLock(SharedMutex& mutex) POLDER_ACQUIRE_SHARED(mutex) : lock_(mutex.mutex_) {}
  ~SharedLock() POLDER_RELEASE() {}
  SharedLock(const SharedLock&) = delete;
  SharedLock& operator=(const SharedLock&) = delete;

 private:
  std::shared_lock<std::shared_mutex> lock_;
};

class POLDER_SCOPED_CAPABILITY ExclusiveLock {
 public:
  explicit ExclusiveLock(SharedMutex& mutex) POLDER_ACQUIRE(mutex) : lock_(mutex.mutex_) {}
  ~ExclusiveLock() POLDER_RELEASE() {}
  ExclusiveLock(const ExclusiveLock&) = delete;
  ExclusiveLock& operator=(const ExclusiveLock&) = delete;

 private:
  std::unique_lock<std::shared_mutex> lock_;
};

// A condition variable for mutexes. Who waits looks again after each return: the analysis does not
// follow predicates, so they stand in a loop around wait().
class Condition {
 public:
  void wait(Lock& lock) { condition_.wait(lock.lock_); }
  template <class Rep, class Period>
  std::cv_status wait_for(Lock& lock, std::chrono::duration<Rep, Period> time) {
    return condition_.wait_for(lock.lock_, time);
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace polder::base
