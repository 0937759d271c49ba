// What all benchmarks share: the command line, latencies, and the hash of what was computed, which
// tells whether two versions of the program did the same work.
#pragma once

#include <benchmark/benchmark.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/values/result.h"

namespace polder::bench {

struct Options {
  bool smoke = false;  // tiny inputs: does it still run?
};

// The body of every main(): registers with `add`, runs what the command line asks for, and destroys
// what the benchmarks hold. Besides Google Benchmark's own flags it knows --smoke. Without flags a
// benchmark is repeated 5 times, interleaved with the others, and its median counts.
int run(int argc, char** argv, const std::function<void(const Options&)>& add);

// The value, or the end of the program with the error.
[[noreturn]] void give_up(const Error& error);
template <class T>
T must(Result<T> result) {
  if (!result.ok()) give_up(result.error());
  return *std::move(result);
}
inline void must(const Status& status) {
  if (!status.ok()) give_up(status.error());
}

// Shows beside the figures what the work came to.
void set_result(benchmark::State& state, std::string_view result);

// Of all threads of this process, so far. Unlike elapsed time it hardly depends on what else runs
// on the machine, and not on the disk.
std::chrono::nanoseconds cpu_time();

// Times of single operations that run elsewhere than on the benchmark's thread.
class Latencies {
 public:
  void add(std::chrono::nanoseconds time) { times_.push_back(time); }
  // Makes them the benchmark's iterations (it uses manual time, as many iterations as there are
  // times), and adds the counters p50_us and p99_us.
  void report(benchmark::State& state) const;
  // In nanoseconds; 0 of none.
  std::chrono::nanoseconds percentile(double part) const;

 private:
  std::vector<std::chrono::nanoseconds> times_;
};

}  // namespace polder::bench
