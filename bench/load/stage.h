// What all workloads share: where they run, how they set the stage, and what they report.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/load/server_use.h"
#include "bench/load/session.h"
#include "homeserver/base/runtime/runtime.h"

namespace polder::load {

struct Stage {
  runtime::Runtime& runtime;
  http::Transport& transport;
  Target target = {};
  Server server = {};
  std::string prefix = {};  // of the users' names: new ones for each run

  std::chrono::nanoseconds now() const { return runtime.clock().steady(); }
};

// The end of the program, without a report: there is none of a run of which anything failed, and
// whoever waits for what will not come need not be told.
[[noreturn]] void give_up(const Error& error);

// Runs work(0) to work(count - 1), so many at a time on this shard. Gives up if one fails.
using Work = std::function<Task<Status>(size_t)>;
Task<void> for_each(runtime::Runtime& runtime, size_t count, size_t at_once, Work work);

// So many requests of the setting up are under way at a time.
inline constexpr size_t kSetUpAtOnce = 8;

// New users, named by their number.
Task<Result<std::vector<Session>>> register_users(Stage& stage, const Target& target,
                                                  std::string name, size_t count);

// Fails unless these are the room's joined members for the user.
Task<Status> check_members(Session& user, std::string room, std::vector<std::string> expected);

struct Report {
  std::string workload;
  std::vector<std::pair<std::string, size_t>> shape = {};  // the numbers that were asked for
  std::string unit = {};                                   // what is counted
  uint64_t count = 0;
  uint64_t checked = 0;  // pieces of content that were found to be right
  std::chrono::nanoseconds measured{0};
  std::vector<std::chrono::nanoseconds> latencies = {};  // ascending
  double server_cpu_seconds = 0;
  uint64_t server_memory_bytes = 0, server_disk_bytes = 0;  // at the end
  double own_cpu_seconds = 0;                               // of the generator

  std::string json() const;  // one line
};

// From when it is made.
class Measurement {
 public:
  static Result<Measurement> begin(const Stage& stage);
  void add(std::chrono::nanoseconds latency) { latencies_.push_back(latency); }
  size_t size() const { return latencies_.size(); }
  // Call once. Counts what was added.
  Result<Report> end(const Stage& stage, std::string workload, std::string unit);

 private:
  std::chrono::nanoseconds begun_{0};
  Use before_;
  double own_before_ = 0;
  std::vector<std::chrono::nanoseconds> latencies_;
};

}  // namespace polder::load
