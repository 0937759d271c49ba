#include "bench/support/bench.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "homeserver/base/crypto/hash.h"

namespace polder::bench {
namespace {

constexpr size_t kShownDigestBytes = 6;

std::vector<std::string> default_flags(const Options& options) {
  if (options.smoke) return {"--benchmark_min_time=0.001"};
  return {"--benchmark_repetitions=5", "--benchmark_enable_random_interleaving=true",
          "--benchmark_report_aggregates_only=true"};
}

}  // namespace

int run(int argc, char** argv, const std::function<void(const Options&)>& add) {
  Options options;
  std::vector<std::string> given;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--smoke") {
      options.smoke = true;
    } else {
      given.emplace_back(argv[i]);
    }
  }
  std::vector<std::string> words = {argv[0]};
  for (auto& flag : default_flags(options))
    words.push_back(std::move(flag));
  for (auto& flag : given)  // the last of two equal flags holds
    words.push_back(std::move(flag));
  std::vector<char*> pointers;
  for (std::string& word : words)
    pointers.push_back(word.data());
  int count = static_cast<int>(pointers.size());
  benchmark::Initialize(&count, pointers.data());
  if (benchmark::ReportUnrecognizedArguments(count, pointers.data())) return 2;
  add(options);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::ClearRegisteredBenchmarks();
  return 0;
}

void give_up(const Error& error) {
  std::fprintf(stderr, "benchmark failed: %s\n", error.message.c_str());
  std::_Exit(1);
}

void set_result(benchmark::State& state, std::string_view result) {
  const Digest digest = crypto::sha256(result);
  state.SetLabel("result " + base::hex_encode(ByteSpan(digest).first(kShownDigestBytes)));
}

std::chrono::nanoseconds cpu_time() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

std::chrono::nanoseconds Latencies::percentile(double part) const {
  if (times_.empty()) return {};
  auto sorted = times_;
  const size_t place =
      std::min(sorted.size() - 1, static_cast<size_t>(part * static_cast<double>(sorted.size())));
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(place), sorted.end());
  return sorted[place];
}

void Latencies::report(benchmark::State& state) const {
  const auto us = [&](double part) {
    return std::chrono::duration<double, std::micro>(percentile(part)).count();
  };
  size_t next = 0;
  for ([[maybe_unused]] auto _ : state)
    state.SetIterationTime(std::chrono::duration<double>(times_.at(next++)).count());
  state.counters["p50_us"] = us(0.5);
  state.counters["p99_us"] = us(0.99);
}

}  // namespace polder::bench
