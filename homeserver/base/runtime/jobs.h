// Work that nobody waits for, by name: what is under way, how often it ended and failed, and how
// far it has got. So that nothing runs unseen.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/values/mutex.h"
#include "homeserver/base/values/result.h"

namespace polder::runtime {

// What is known of all work of one name.
struct JobReport {
  std::string name;
  uint64_t running = 0;
  int64_t started_ms = 0;  // the last, since the epoch
  bool can_stop = false;   // it looks whether it is asked to
  bool stopping = false;
  uint64_t ended = 0;   // also those that failed
  uint64_t failed = 0;  // also those that went on
  std::string last_failure = {};
  int64_t last_failed_ms = 0;  // since the epoch; 0: never
  // Of the one that told last; nothing is known while total is 0.
  uint64_t done = 0;
  uint64_t total = 0;
};

// Thread-safe.
class Jobs {
 public:
  void began(std::string_view name, int64_t now_ms);
  void ended(std::string_view name, const Status& how, int64_t now_ms);
  // Work that goes on, and tries what failed again.
  void failed(std::string_view name, const Error& why, int64_t now_ms);
  // How far the work has got; its units are its own.
  void progress(std::string_view name, uint64_t done, uint64_t total);

  // Work that looks whether it is asked to stop says so when it begins.
  void can_stop(std::string_view name);
  bool stop_asked(std::string_view name) const;
  // Asks all work of the name to stop. kNotFound if none is under way, kUnsupported if it does not
  // look. What was stopped begins again with the server, unless it was done.
  Status stop(std::string_view name);

  // By name; of all that ever ran.
  std::vector<JobReport> reports() const;

 private:
  JobReport& of(std::string_view name) REQUIRES(mutex_);

  mutable base::Mutex mutex_;
  std::map<std::string, JobReport, std::less<>> reports_ GUARDED_BY(mutex_);
};

}  // namespace polder::runtime
