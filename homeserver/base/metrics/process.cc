#include "homeserver/base/metrics/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace polder::metrics {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

size_t entries(const char* folder) {
  DIR* const opened = opendir(folder);
  if (opened == nullptr) return 0;
  size_t count = 0;
  while (readdir(opened) != nullptr)
    ++count;
  closedir(opened);
  return count > 2 ? count - 2 : 0;  // besides "." and ".."
}

// Pages, by https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html.
std::array<long, 2> memory_pages() {
  std::array<long, 2> pages{};
  const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return pages;
  char text[256] = {};
  if (read(file, text, sizeof text - 1) > 0) {
    char* rest = text;
    for (long& count : pages)
      count = std::strtol(rest, &rest, 10);
  }
  close(file);
  return pages;
}

}  // namespace

void probe_process(Sink& sink) {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    sink.counter("process_cpu_seconds_total", "Processor time spent.", {},
                 seconds(usage.ru_utime) + seconds(usage.ru_stime));
  }
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  const auto pages = memory_pages();
  sink.gauge("process_virtual_memory_bytes", "Virtual memory.", {},
             static_cast<double>(pages[0]) * page);
  sink.gauge("process_resident_memory_bytes", "Memory in use.", {},
             static_cast<double>(pages[1]) * page);
  sink.gauge("process_open_fds", "Open descriptors.", {},
             static_cast<double>(entries("/proc/self/fd")));
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    sink.gauge("process_max_fds", "Descriptors that may be open.", {},
               static_cast<double>(limit.rlim_cur));
  }
  sink.gauge("process_threads", "Threads.", {}, static_cast<double>(entries("/proc/self/task")));
}

}  // namespace polder::metrics
