// What the disk itself takes: a small append and its fdatasync, as the write log does them. Every
// figure of a durable write is to be read beside this one.
#include "bench/support/local_server.h"
#include "storage/files/files.h"

namespace polder::files {
namespace {

constexpr size_t kAppendBytes = 2048;

void append_and_sync(benchmark::State& state) {
  const bench::TemporaryDirectory directory;
  const base::SystemClock clock;
  const auto system = real_files();
  const auto file =
      bench::must(system->open_for_write(directory.path() + "/log", OpenMode::kTruncate));
  const std::string data(kAppendBytes, 'x');
  bench::Latencies latencies;
  for (benchmark::IterationCount i = 0; i < state.max_iterations; ++i) {
    const auto begin = clock.steady();
    bench::must(file->append(data));
    bench::must(file->sync());
    latencies.add(clock.steady() - begin);
  }
  latencies.report(state);
  bench::set_result(state, data);
}

}  // namespace

void add_benchmarks(const bench::Options& options) {
  benchmark::RegisterBenchmark("files/append_and_fdatasync", append_and_sync)
      ->UseManualTime()
      ->Iterations(options.smoke ? 5 : 1000);
}

}  // namespace polder::files

int main(int argc, char** argv) {
  return polder::bench::run(argc, argv, polder::files::add_benchmarks);
}
