// The real program on an empty directory: how long until it is ready, its memory then, and how long
// until it has ended.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/support/local_server.h"
#include "storage/files/files.h"

namespace polder::server {
namespace {

using bench::give_up;
using bench::must;

constexpr size_t kStatusBytesMax = 1 << 16;

Error failed(const char* what) {
  return fail(ErrorCode::kIo, std::string("cannot ") + what);
}

// The running program; its standard error is a pipe.
class Program {
 public:
  explicit Program(const std::string& config) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) give_up(failed("make a pipe"));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    std::vector<std::string> words = {POLDER_BINARY, "serve", "--config", config};
    std::vector<char*> arguments;
    for (std::string& word : words)
      arguments.push_back(word.data());
    arguments.push_back(nullptr);
    if (posix_spawn(&process_, arguments[0], &actions, nullptr, arguments.data(), environ) != 0)
      give_up(failed("start " POLDER_BINARY));
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    errors_ = ends[0];
  }
  ~Program() { close(errors_); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void wait_until_ready() {
    while (log_.find(" ready ") == std::string::npos) {
      if (!read_log()) give_up(fail(ErrorCode::kIo, "it ended before it was ready: " + log_));
    }
  }

  void stop() {
    if (kill(process_, SIGTERM) != 0) give_up(failed("stop it"));
    while (read_log()) {
    }
    int status = 0;
    if (waitpid(process_, &status, 0) != process_ || status != 0) {
      give_up(fail(ErrorCode::kInternal,
                   "it ended with status " + std::to_string(status) + ": " + log_));
    }
  }

  // A line of /proc/PID/status, in MiB.
  double memory(files::FileSystem& files, std::string_view name) const {
    const std::string path = "/proc/" + std::to_string(process_) + "/status";
    const auto file = must(files.open_for_read(path));
    const std::string text = must(file->read(0, kStatusBytesMax));  // it says that its size is 0
    const size_t line = text.find(name);
    if (line == std::string::npos) give_up(failed("read its memory"));
    return std::strtod(text.c_str() + line + name.size(), nullptr) / 1024;
  }

 private:
  // False at the end.
  bool read_log() {
    char buffer[4096];
    const ssize_t size = read(errors_, buffer, sizeof buffer);
    if (size > 0) log_.append(buffer, static_cast<size_t>(size));
    return size > 0;
  }

  pid_t process_ = 0;
  int errors_ = -1;
  std::string log_;
};

void start_up(benchmark::State& state) {
  const base::SystemClock clock;
  const auto files = files::real_files();
  bench::Latencies latencies;
  double resident = 0, own = 0;
  std::chrono::nanoseconds stopping{0};
  for (benchmark::IterationCount i = 0; i < state.max_iterations; ++i) {
    const bench::TemporaryDirectory directory;
    const std::string config = directory.path() + "/polder.toml";
    must(files->write_atomically(config, "server_name = \"bench\"\ndata_dir = \"" +
                                             directory.path() +
                                             "/data\"\n[[listeners]]\nbind = \"127.0.0.1\"\n"
                                             "port = 18999\n"));
    const auto begin = clock.steady();
    Program program(config);
    program.wait_until_ready();
    latencies.add(clock.steady() - begin);
    resident = program.memory(*files, "VmRSS:");
    own = program.memory(*files, "RssAnon:");
    const auto end = clock.steady();
    program.stop();
    stopping = std::max(stopping, clock.steady() - end);
  }
  latencies.report(state);
  state.counters["resident_MiB"] = resident;
  state.counters["anonymous_MiB"] = own;
  state.counters["stop_ms"] = std::chrono::duration<double, std::milli>(stopping).count();
}

}  // namespace

void add_benchmarks(const bench::Options& options) {
  benchmark::RegisterBenchmark("server/start_up", start_up)
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond)
      ->Iterations(options.smoke ? 1 : 10);
}

}  // namespace polder::server

int main(int argc, char** argv) {
  return polder::bench::run(argc, argv, polder::server::add_benchmarks);
}
